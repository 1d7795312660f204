"""The process of a flow run ends soon after its work, whatever waits at its exit; no other process is ended."""

import os
import subprocess
import sys

STUCK = """
import threading, time
from flows.leaving import ends_soon_after
threading._register_atexit(lambda: time.sleep(3600))  # as Prefect's services wait for a server that is gone
with ends_soon_after(0.1):
    print("its work", flush=True)
"""
FREE = """
import time
from flows.leaving import ends_soon_after
with ends_soon_after(0.0):
    pass
time.sleep(0.5)
print("went on")
"""


def run(source, *, stderr=subprocess.PIPE, **environment):
    environment = {**os.environ, **environment}
    command = [sys.executable, "-c", source]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=stderr, timeout=300, check=False, text=True
    )


def test_a_run_that_cannot_tell_its_end_ends_all_the_same():
    ended = run(STUCK, PREFECT__FLOW_RUN_ID="0190")
    assert (ended.returncode, ended.stdout) == (1, "its work\n")
    assert "did not take the end of this run" in ended.stderr


def test_it_ends_where_nobody_reads_what_it_says():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        assert run(STUCK, stderr=broken, PREFECT__FLOW_RUN_ID="0190").returncode == 1


def test_a_process_that_no_worker_started_goes_on(monkeypatch):
    monkeypatch.delenv("PREFECT__FLOW_RUN_ID", raising=False)
    assert run(FREE).stdout == "went on\n"
