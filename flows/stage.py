"""A Prefect installation that lasts as long as a block: server, pools and workers on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import SyncPrefectClient

from flows.children import Child, answers, free_port
from flows.embedded import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_COMMAND_S, _START_S = 120.0, 120.0


class Stage:
    """Processes that share one temporary ``PREFECT_HOME`` and one API address; leaving the block ends them.

    Parameters
    ----------
    directory
        Where the database, the logs and the workers' files go.
    say
        Called with one line for each thing that happens.

    Attributes
    ----------
    survivors
        Processes that outlived the block and had to be killed (Linux only).
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory, self._say, self.home = directory, say, directory / "prefect"
        self._children: list[Child] = []
        port = free_port()
        self.api_url = f"http://127.0.0.1:{port}/api"
        self.survivors: tuple[int, ...] = ()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self._env = {
            **inherited,
            **OFFLINE,
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }

    def start_server(self) -> None:
        """Start the API server with all of its services, and wait until it answers."""
        server = self._start("server", "server", "start")
        server.wait_for(lambda: answers(f"{self.api_url}/health"), what="an answer", timeout_s=_START_S)
        self._say(f"the server answers at {self.api_url}")

    def create_pool(self, name: str, *, limit: int) -> None:
        """Create a pool whose workers run flow runs as processes, `limit` at a time."""
        self.prefect("work-pool", "create", name, "--type", "process")
        self.prefect("work-pool", "set-concurrency-limit", name, str(limit))
        self._say(f"work pool {name}: {limit} at a time")

    def start_worker(self, pool: str) -> None:
        """Start a worker of `pool`."""
        self._start(f"worker of {pool}", "worker", "start", "--pool", pool, "--type", "process")

    def prefect(self, *arguments: str, cwd: Path | None = None) -> None:
        """Run ``prefect ARGUMENTS…`` to its end; raise `flows.children.ChildError` unless it succeeds."""
        self._start(f"prefect {' '.join(arguments)}", *arguments, cwd=cwd).must_succeed(_COMMAND_S)

    def client(self) -> SyncPrefectClient:
        """Return a client of this stage's API, whatever this process's own settings say."""
        return SyncPrefectClient(self.api_url)

    def must_run(self) -> None:
        """Raise `flows.children.ChildError` if the server or a worker has ended."""
        for child in self._children:
            if not child.name.startswith("prefect "):
                child.must_run()

    def worker_logs(self) -> str:
        """Return the end of every worker's log."""
        workers = [child for child in self._children if child.name.startswith("worker")]
        return "\n".join(f"--- {worker.name}\n{worker.log_tail(60)}" for worker in workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):  # workers before the server they talk to
            child.stop()
        self.survivors = _processes_with(f"PREFECT_HOME={self.home}")
        for pid in self.survivors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _start(self, name: str, *arguments: str, cwd: Path | None = None) -> Child:
        log = self._directory / "logs" / f"{len(self._children)}.log"
        command = [sys.executable, "-m", "prefect", *arguments]
        child = Child(name, command, env=self._env, log=log, cwd=cwd or self._directory)
        self._children.append(child)
        return child


def _processes_with(variable: str) -> tuple[int, ...]:
    """Return the processes whose environment holds ``NAME=value`` (Linux; elsewhere none)."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return tuple(sorted(found))
