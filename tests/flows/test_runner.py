"""The embedded server and the runner, as a process of its own: what the command line does."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from flows.runner import Interrupted, _interruptible

PRETEND = Path(__file__).with_name("pretend.py")


def _environment(home):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | {"STITCHPIPE_PREFECT_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def _start(child, home, out, seconds):
    return child(sys.executable, str(PRETEND), str(out), str(seconds), env=_environment(home))


def _server_of(process):
    """Return the pid of the embedded server that `process` started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid and b"uvicorn" in stat.with_name("cmdline").read_bytes():
            return int(stat.parent.name)
    raise AssertionError("no embedded server")


def _gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _interrupt(process, signum, *, at):
    process.wait_for(lambda: at in process.log_tail(), what=at, timeout_s=120, poll_s=0.05)
    server = _server_of(process)
    os.killpg(process.pid, signum)
    return server


def _ended(process):
    process.wait_for(lambda: process.returncode() is not None, what="an end", timeout_s=20)
    return process.returncode()


def _await_gone(pid):
    for _ in range(100):
        if _gone(pid):
            return True
        time.sleep(0.1)
    return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
def test_a_run_needs_no_server_and_ctrl_c_leaves_a_hint_and_no_process(migrated_home, child, tmp_path):
    process = _start(child, migrated_home, tmp_path / "out", 0.5)
    server = _interrupt(process, signal.SIGINT, at="stitch a layer1.1: 3/10")
    assert _ended(process) == 130
    assert "the same command continues" in process.log_tail()
    assert "Traceback" not in process.log_tail(200)
    assert "train b: 10/10" in process.log_tail(400)
    assert _gone(server)
    assert [path.name for path in (tmp_path / "out").glob("stitch*")] == ["stitch a layer1.0"]


@linux
@pytest.mark.slow
@pytest.mark.parametrize("at", ["train a: 3/10", "stitch a layer1.1: 3/10"])
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_server_outlives_a_run_that_is_ended(signum, status, at, migrated_home, child, tmp_path):
    process = _start(child, migrated_home, tmp_path / "out", 2.0)
    server = _interrupt(process, signum, at=at)
    assert _ended(process) == status
    assert _await_gone(server)
    assert ("the same command continues" in process.log_tail()) == (signum == signal.SIGTERM)


@linux
@pytest.mark.slow
def test_two_runs_at_a_time_use_two_databases(migrated_home, child, tmp_path):
    runs = [_start(child, migrated_home, tmp_path / name, 0.5) for name in ("one", "two")]
    for run in runs:
        run.must_succeed(120)
    assert {path.parent.name for path in migrated_home.glob("*/prefect.db")} == {"0", "1"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_to_stop_that_python_drops_is_heeded_at_the_next_report(tmp_path):
    class Dropping:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with _interruptible(tmp_path) as request:
        report = request.heeded(lambda *at: None)
        report("unit", 0, 2)
        Dropping()
        with pytest.raises(Interrupted) as caught:
            report("unit", 1, 2)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before
