"""A whole Prefect installation on loopback, for as long as a block: server, work pools and their workers."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import SyncPrefectClient

from flows.processes import OwnedProcess
from flows.server import OFFLINE, STARTUP_S, answers, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

#: How long one command of Prefect's may take.
_COMMAND_S = 120.0


class PrefectInstallation:
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
        self._processes: list[OwnedProcess] = []
        self._services: list[OwnedProcess] = []
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
        self._services.append(server)
        server.wait_until(lambda: answers(f"{self.api_url}/health"), what="an answer", timeout_s=STARTUP_S)
        self._say(f"the server answers at {self.api_url}")

    def create_pool(self, name: str, *, limit: int) -> None:
        """Create a pool whose workers run flow runs as processes, `limit` at a time."""
        self.prefect("work-pool", "create", name, "--type", "process")
        self.prefect("work-pool", "set-concurrency-limit", name, str(limit))
        self._say(f"work pool {name}: {limit} at a time")

    def start_worker(self, pool: str) -> None:
        """Start a worker of `pool`."""
        worker = self._start(f"worker of {pool}", "worker", "start", "--pool", pool, "--type", "process")
        self._services.append(worker)

    def prefect(self, *arguments: str, cwd: Path | None = None) -> None:
        """Run ``prefect ARGUMENTS…`` to its end; raise `flows.processes.ProcessError` unless it succeeds."""
        self._start(f"prefect {' '.join(arguments)}", *arguments, cwd=cwd).must_succeed(_COMMAND_S)

    def client(self) -> SyncPrefectClient:
        """Return a client of this installation's API, whatever this process's own settings say."""
        return SyncPrefectClient(self.api_url)

    def must_run(self) -> None:
        """Raise `flows.processes.ProcessError` if the server or a worker has ended."""
        for service in self._services:
            service.must_run()

    def worker_logs(self) -> str:
        """Return the end of every worker's log."""
        workers = [service for service in self._services if service.name.startswith("worker")]
        return "\n".join(f"--- {worker.name}\n{worker.log_tail(60)}" for worker in workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):  # workers before the server they talk to
            process.stop()
        self.survivors = _processes_with(f"PREFECT_HOME={self.home}")
        for pid in self.survivors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _start(self, name: str, *arguments: str, cwd: Path | None = None) -> OwnedProcess:
        log = self._directory / "logs" / f"{len(self._processes)}.log"
        command = [sys.executable, "-m", "prefect", *arguments]
        process = OwnedProcess(name, command, env=self._env, log=log, cwd=cwd or self._directory)
        self._processes.append(process)
        return process


def _processes_with(variable: str) -> tuple[int, ...]:
    """Return the processes whose environment holds ``NAME=value`` (Linux; elsewhere none)."""
    processes = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in environ.read_bytes().split(b"\0"):
                processes.append(int(environ.parent.name))
    return tuple(sorted(processes))
