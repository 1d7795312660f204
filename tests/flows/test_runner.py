"""The runner, as a process of its own: what the command line does."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from flows.interruption import Interrupted, interruptible
from tests.flows.pretend import is_alive

PRETEND = Path(__file__).with_name("pretend.py")
ROOT = PRETEND.parent.parent.parent


def _environment(home):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | {
        "STITCHPIPE_PREFECT_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def _start(owned, home, out, seconds):
    return owned(sys.executable, str(PRETEND), str(out), str(seconds), env=_environment(home))


def _started_by(process):
    """Return the processes that `process` started, by pid: the private server and the workers."""
    commands = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if parent == process.pid:
            commands[int(stat.parent.name)] = command
    return commands


def _interrupt(process, signum, *, at):
    process.wait_until(lambda: at in process.log_tail(400), what=at, timeout_s=120, poll_s=0.05)
    started = _started_by(process)
    assert sum(b"uvicorn" in command for command in started.values()) == 1
    assert sum(b"flows.worker" in command for command in started.values()) == 2
    os.killpg(process.pid, signum)
    return started


def _ended(process):
    process.wait_until(lambda: process.returncode() is not None, what="an end", timeout_s=120)
    return process.returncode()


def _await_gone(pids):
    deadline = time.monotonic() + 60
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
def test_a_run_needs_no_server_and_ctrl_c_leaves_a_hint_and_no_process(migrated_home, owned, tmp_path):
    process = _start(owned, migrated_home, tmp_path / "out", 2.0)
    started = _interrupt(process, signal.SIGINT, at="stitch a layer2.0: 1/10")
    assert _ended(process) == 130
    said = process.log_tail(1000)
    assert "the same command continues" in said
    assert "Traceback" not in said
    assert "train b: 10/10" in said
    # Work does not wait for Prefect.
    assert said.index("train a: 1/10") < said.index("start Prefect: 1/1")
    assert _await_gone(started)
    stitched = {path.name for path in (tmp_path / "out").glob("stitch*")}
    assert {"stitch a layer1.0", "stitch a layer1.1"} <= stitched
    assert "stitch a layer2.0" not in stitched


@linux
@pytest.mark.slow
@pytest.mark.parametrize("at", ["train a: 3/10", "stitch a layer1.1: 3/10"])
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_process_outlives_a_run_that_is_ended(signum, status, at, migrated_home, owned, tmp_path):
    process = _start(owned, migrated_home, tmp_path / "out", 2.0)
    started = _interrupt(process, signum, at=at)
    assert _ended(process) == status
    assert _await_gone(started)
    assert ("the same command continues" in process.log_tail()) == (signum == signal.SIGTERM)


@linux
@pytest.mark.slow
def test_two_runs_at_a_time_use_two_databases(migrated_home, owned, tmp_path):
    runs = [_start(owned, migrated_home, tmp_path / name, 0.5) for name in ("one", "two")]
    for run in runs:
        run.must_succeed(120)
    assert {path.parent.name for path in migrated_home.glob("*/prefect.db")} == {"0", "1"}


def _wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_exception_python_drops_is_heeded(tmp_path):
    class Dropping:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    def run():
        with interruptible(tmp_path) as interruption:
            interruption.tell(lambda: told.append("pool"))
            Dropping()
            _wait_for(lambda: told)
            raise RuntimeError("what a stopped pool makes of a flow")

    handlers, told = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)], []
    with pytest.raises(Interrupted) as caught:
        run()
    assert (caught.value.exit_code, told) == (143, ["pool"])
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_signal_is_noticed_whatever_handler_stands_in_its_place(tmp_path):
    def run():
        with interruptible(tmp_path) as interruption:
            interruption.tell(lambda: told.append("early"))
            signal.signal(signal.SIGTERM, lambda *_: None)
            os.kill(os.getpid(), signal.SIGTERM)
            _wait_for(lambda: told)
            interruption.tell(lambda: told.append("late"))
            raise RuntimeError

    told = []
    with pytest.raises(Interrupted):
        run()
    assert told == ["early", "late"]


def test_an_error_without_a_signal_is_itself(tmp_path):
    with pytest.raises(ZeroDivisionError), interruptible(tmp_path):
        raise ZeroDivisionError
