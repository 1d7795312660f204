"""Settings before Prefect is imported, directories of embedded servers, child processes."""

import subprocess
import sys

import pytest

from flows import embedded
from flows.children import ChildError, answers, free_port


def test_an_address_that_was_given_is_used_as_it_is():
    environ = {"PREFECT_API_URL": "http://prefect.example:4200/api", "DO_NOT_TRACK": "0"}
    assert embedded.prepare(environ) is None
    assert environ["PREFECT_API_URL"] == "http://prefect.example:4200/api"
    assert environ["DO_NOT_TRACK"] == "0"  # explicit settings win
    assert environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "PREFECT_HOME" not in environ


def test_where_embedded_runs_live(tmp_path):
    assert embedded.home({"STITCHPIPE_PREFECT_HOME": str(tmp_path)}) == tmp_path
    assert embedded.home({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "stitchpipe" / "prefect"
    assert embedded.home({}).parts[-3:] == (".cache", "stitchpipe", "prefect")


def test_a_directory_is_claimed_by_one_and_given_back(tmp_path):
    first, place = embedded._claim(tmp_path)
    second, other = embedded._claim(tmp_path)
    assert (place.name, other.name) == ("0", "1")
    first.close()
    third, again = embedded._claim(tmp_path)
    assert again == place
    for lock in (second, third):
        lock.close()


def test_the_runner_prepares_before_prefect_is_imported():
    code = "import sys, flows.runner; sys.exit(bool({'prefect', 'torch', 'dask'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_child_that_ends_early_is_an_error_with_its_last_words(child):
    process = child(sys.executable, "-c", "print('out of cheese'); raise SystemExit(3)")
    with pytest.raises(ChildError, match="out of cheese") as caught:
        process.wait_for(lambda: False, what="an answer", timeout_s=60)
    assert "status 3" in caught.value.found


def test_a_child_that_does_not_answer_is_an_error(child):
    process = child(sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(ChildError, match="no answer"):
        process.wait_for(lambda: answers(f"http://127.0.0.1:{free_port()}"), what="an answer", timeout_s=0.5)
    process.stop()
    assert process.returncode() is not None


def test_stopping_a_child_ends_its_children(child):
    code = (
        "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    process = child(sys.executable, "-c", code)
    process.stop(grace_s=1.0)
    left = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, check=False)
    assert left.stdout.strip() == b""
