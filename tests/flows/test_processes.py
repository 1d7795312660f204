"""Processes that end with the one that started them."""

import subprocess
import sys

import pytest

from flows.processes import ProcessError, ending
from flows.server import answers, free_port


def test_a_process_that_ends_early_is_an_error_with_its_last_words(owned):
    process = owned(sys.executable, "-c", "print('out of cheese'); raise SystemExit(3)")
    with pytest.raises(ProcessError, match="out of cheese") as caught:
        process.wait_until(lambda: False, what="an answer", timeout_s=60)
    assert "status 3" in caught.value.found


def test_a_process_that_does_not_answer_is_an_error(owned):
    process = owned(sys.executable, "-c", "import time; time.sleep(60)")
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ProcessError, match="no answer"):
        process.wait_until(lambda: answers(url), what="an answer", timeout_s=0.5)
    process.stop()
    assert process.returncode() is not None


def test_stopping_a_process_ends_its_children(owned):
    code = (
        "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    process = owned(sys.executable, "-c", code)
    process.stop(grace_s=1.0)
    left = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, check=False)
    assert left.stdout.strip() == b""


@pytest.mark.parametrize(
    ("status", "words"), [(3, "with status 3"), (-9, "by the signal SIGKILL"), (-250, "by the signal 250")]
)
def test_how_a_process_ended_is_said_in_words(status, words):
    assert ending(status) == words
