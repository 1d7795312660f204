"""The end of an installation: flow runs whose worker is gone are asked to end while the server is still there."""

import sys
from pathlib import Path

from flows.installation import PrefectInstallation

FOR_EVER = (sys.executable, "-c", "import time; time.sleep(3600)")
#: A flow run in a session of its own, which notes at SIGTERM whether the process of the server is there.
RUN = """
import os, signal, subprocess, sys, time
def end(*_):
    with open(sys.argv[1], "w") as told:
        told.write(str(os.path.exists("/proc/" + sys.argv[2])))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1] + ".begun", "w").close()
time.sleep(3600)
"""
#: One that does not listen.
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(3600)
"""
WORKER = (
    "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], start_new_session=True); time.sleep(3600)"
)


def test_a_run_without_its_worker_is_asked_to_end_before_the_server(tmp_path):
    told = tmp_path / "told"
    with PrefectInstallation(tmp_path / "night", lambda _line: None) as installation:
        installation.serve("server", FOR_EVER, ready=lambda: True)
        installation.serve("another worker", FOR_EVER)
        installation.kill("server")
        installation.restart_ended()  # behind the worker
        run = [sys.executable, "-c", RUN, str(told), str(installation.pid("server"))]
        installation.serve("worker", [sys.executable, "-c", WORKER, *run])
        installation._processes[-1].wait_until(
            Path(f"{told}.begun").exists, what="a flow run", timeout_s=120.0
        )
        installation.kill("worker")
    assert told.read_text() == "True"
    assert installation.survivors == ()


def test_a_run_that_does_not_listen_is_killed_and_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.installation._ORPHANS_S", 0.5)
    with PrefectInstallation(tmp_path, lambda _line: None) as installation:
        installation.serve("worker", [sys.executable, "-c", WORKER, sys.executable, "-c", DEAF])
        worker = installation._processes[-1]
        worker.wait_until(lambda: "begun" in worker.log_tail(), what="a flow run", timeout_s=120.0)
        installation.kill("worker")
    (survivor,) = installation.survivors
    assert "SIG_IGN" in survivor
