"""Shared by all tests: what a test process is set to before anything is imported, and what is made once for all."""

from __future__ import annotations

import atexit
import fcntl
import gc
import logging
import os
import shutil
import signal
import tempfile
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import Client

    from stitchpipe.engine.cluster import Cluster
    from tests.tiny_sweep import Tiny

# What is imported and collected stays: looking through it again while it grows took a third of the collection.
gc.disable()

# One thread for each library: the machines that run the tests have two cores, and a test process on each.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Prefect, which reads its settings when it is imported, keeps its files out of the home of whoever runs the tests, and
# the tests off their server. The processes of one run inherit the folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["PREFECT_HOME"] = os.environ["STITCHPIPE_PREFECT_HOME"] = tempfile.mkdtemp(
        prefix="stitchpipe-tests-"
    )
    os.environ.pop("PREFECT_API_URL", None)
    atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)

# By itself hypothesis fails an example that takes more than a fifth of a second. `make test-all` asks for the second.
settings.register_profile("patient", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("patient")

TAKEN: pytest.StashKey[list[tuple[float, int]]] = pytest.StashKey()
COMPARING: pytest.StashKey[set[Path]] = pytest.StashKey()
CLUSTER: pytest.StashKey[Cluster] = pytest.StashKey()
FIRST = ("installation", "tiny", "processes")
"""Fixtures that take many seconds once, in the order of their files: none is waited for by two processes."""


@pytest.fixture(scope="session", autouse=True)
def _children_heed_ctrl_c() -> Iterator[None]:
    """Give children the usual SIGINT, which a shell takes away from whatever it starts in the background."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module", autouse=True)
def _not_flushed(request) -> Iterator[None]:
    """Wait for no disk where the subject is not the store itself: `storage/` cuts the power, and asks what is left."""
    with pytest.MonkeyPatch.context() as patched:
        if "storage" not in request.path.parts:
            patched.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session")
def of_this_run(tmp_path_factory) -> Path:
    """Return the folder that all processes of this run of the tests share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that one process of this run has at a time; it is given back even by a process that is killed."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Dask cluster whose one worker is a thread of this process, for comparisons whose subject is not the cluster."""
    with _shared(workers=1, memory_limit_bytes=2**30, in_this_process=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def processes(request) -> Iterator[Cluster]:
    """Two Dask workers that are processes, as a run has them: they take seconds to start."""
    with _shared(workers=2, memory_limit_bytes=2**30) as opened:
        request.config.stash[CLUSTER] = opened
        yield opened


@contextmanager
def _shared(**how: Any) -> Iterator[Cluster]:
    """Open a cluster for all comparisons of this process."""
    import dask

    from stitchpipe.engine.cluster import Cluster

    # Workers that wait for the next comparison look at themselves twice a second, unless told otherwise.
    idle = {"distributed.admin.system-monitor.interval": "5s", "distributed.admin.tick.interval": "1s"}

    class Shared(Cluster):
        def _started(self) -> Client:
            # While it runs Dask silences its logger's handlers: among them those that pytest captures all logs with.
            levels = {handler: handler.level for handler in logging.getLogger("distributed").handlers}
            client = super()._started()
            for handler, level in levels.items():
                handler.setLevel(level)
            return client

    with dask.config.set(idle), Shared(**how) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny(of_this_run) -> Tiny:
    """Return the finished run of the tiny sweep: made by the first process that asks, read by all.

    It is compared by workers that are processes, as a run of people is; they start where it is made.
    """
    from tests.tiny_sweep import Tiny

    with alone(of_this_run / "tiny.lock"), _shared(workers=2, memory_limit_bytes=2**30) as workers:
        return Tiny.at(of_this_run / "tiny", workers)


@pytest.fixture
def without_prefect(monkeypatch) -> None:
    """Let commands of this process carry out their steps in it, rather than through a server and workers."""
    from flows import work
    from tests.cli.command import run_here

    monkeypatch.setattr("stitchpipe.cli.run_commands._runner", lambda: run_here)
    monkeypatch.setattr(work, "opened", work.opened.__wrapped__)


@pytest.fixture
def untimed(monkeypatch) -> None:
    """Let a plan that is shown try nothing of its work: two seconds each. A test of `cli/` tries it."""
    from stitchpipe.steps.forecast_seconds import EngineSeconds
    from stitchpipe.steps.network_seconds import NetworkSeconds

    monkeypatch.setattr(
        "stitchpipe.cli.plan_tables.engine_seconds", lambda *_, **__: EngineSeconds({"products": 1.0}, 1024.0)
    )
    monkeypatch.setattr("stitchpipe.cli.plan_tables.single_layer_seconds", lambda *_: 90.0)
    monkeypatch.setattr(
        "stitchpipe.cli.plan_tables.network_seconds", lambda *_: NetworkSeconds(dump=1.0, stitch=1.0)
    )


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave a report's figures empty, for tests that look at none of them: a third of a second each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stitchpipe.report.write.as_png", lambda _draw: b"\x89PNG")
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let files come first whose tests share what is slow to make: no process is left with one of them at the end."""
    users = {
        name: {item.path for item in items if name in getattr(item, "fixturenames", ())} for name in FIRST
    }
    items.sort(
        key=lambda item: next((n for n, name in enumerate(FIRST) if item.path in users[name]), len(FIRST))
    )
    config.stash[COMPARING] = users["processes"]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collect garbage again from here on, and only among what the tests make."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # or compiled modules complain at the end of objects that were never freed
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Dask workers behind a file that uses them, unless the next one does too: idle they cost time as well."""
    comparing = item.config.stash[COMPARING]
    if item.path in comparing and (nextitem is None or nextitem.path not in comparing):
        with item.config.stash.get(CLUSTER, nullcontext()):
            pass


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Deal whole files to the processes, so that what a file shares is made once."""
    from tests.dealing import ByFile

    return ByFile(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that dealt the tests what this one took."""
    from tests.dealing import taken

    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["taken"] = taken()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note what one of several processes took."""
    if hasattr(node, "workeroutput"):
        node.config.stash.setdefault(TAKEN, []).append(node.workeroutput["taken"])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what the tests took: their speed and their memory are promises too."""
    from tests.dealing import taken

    processes = config.stash.get(TAKEN, [taken()])
    seconds, memory = sum(each for each, _ in processes), max(most for _, most in processes)
    terminalreporter.write_line(
        f"{seconds:.0f} processor seconds; {memory / 2**30:.1f} GiB in the largest process"
    )
