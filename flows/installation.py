"""A whole Prefect installation on loopback, for as long as a block: server, work pools and their workers."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import SyncPrefectClient

from flows.processes import OwnedProcess
from flows.server import OFFLINE, STARTUP_S, answers, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Self

#: How long one command of Prefect's may take.
_COMMAND_S = 120.0

#: How long a flow run may take to end after SIGTERM.
_ORPHANS_S = 10.0


class PrefectInstallation:
    """Processes that share one temporary ``PREFECT_HOME`` and one API address; leaving the block ends them.

    Parameters
    ----------
    directory
        Where the database, the logs and the workers' files go.
    say
        Called with one line for each thing that happens.
    environment
        What every process gets beside this process's own environment: credentials of a bucket, a module path.
    auth
        ``USER:PASSWORD`` that the API asks for; without it, it asks for none.
    query_s
        How often a worker asks for flow runs; Prefect's own default is 15.

    Attributes
    ----------
    survivors
        Processes that outlived the block and had to be killed, with their command lines (Linux only).
    """

    def __init__(
        self,
        directory: Path,
        say: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
        *,
        auth: str | None = None,
        query_s: float = 2.0,
    ) -> None:
        self._directory, self._say, self.home = directory, say, directory / "prefect"
        self._processes: list[OwnedProcess] = []
        self._services: dict[str, _Service] = {}
        self._port, self._auth = free_port(), auth
        self.api_url = f"http://127.0.0.1:{self._port}/api"
        self.survivors: tuple[str, ...] = ()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.environment = {
            **inherited,
            **OFFLINE,
            **(environment or {}),
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(self._port),
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": f"{query_s:g}",
            "PREFECT_CLIENT_MAX_RETRIES": "7",  # as docker/compose.yaml
        }
        if auth is not None:
            self.environment |= {"PREFECT_API_AUTH_STRING": auth, "PREFECT_SERVER_API_AUTH_STRING": auth}

    def start_server(self) -> None:
        """Start the API server with all of its services, and wait until it answers."""
        command = [sys.executable, "-m", "prefect", "server", "start"]
        self.serve("server", command, ready=lambda: answers(f"{self.api_url}/health"))
        self._say(f"the server answers at {self.api_url}")

    def create_pool(self, name: str, *, limit: int) -> None:
        """Create a pool whose workers run flow runs as processes, `limit` at a time."""
        self.prefect("work-pool", "create", name, "--type", "process")
        self.prefect("work-pool", "set-concurrency-limit", name, str(limit))
        self._say(f"work pool {name}: {limit} at a time")

    def start_worker(self, pool: str, *, number: int = 0, limit: int | None = None) -> None:
        """Start the `number`-th worker of `pool`, or start it again; it has at most `limit` flow runs at a time."""
        several = [] if limit is None else ["--limit", str(limit)]
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
        self.serve(worker_name(pool, number), [*command, *several])

    def serve(self, name: str, command: Sequence[str], *, ready: Callable[[], bool] | None = None) -> None:
        """Start a service that is to run until the end of the block, and wait until it is ready.

        Raises
        ------
        flows.processes.ProcessError
            It ended, or was not ready in time.
        """
        process = self._start(name, command)
        self._services[name] = _Service(process, tuple(command), ready)
        if ready is not None:
            process.wait_until(ready, what="an answer", timeout_s=STARTUP_S)

    def restart_ended(self, *, but: Collection[str] = ()) -> None:
        """Start every service again that has ended, as a container engine would, `but` for those named."""
        for name, service in list(self._services.items()):
            if name not in but and service.process.returncode() is not None:
                self._say(f"{name} is started again")
                self.serve(name, service.command, ready=service.ready)

    def prefect(self, *arguments: str, cwd: Path | None = None) -> None:
        """Run ``prefect ARGUMENTS…`` to its end; raise `flows.processes.ProcessError` unless it succeeds."""
        self.python("-m", "prefect", *arguments, cwd=cwd)

    def python(self, *arguments: str, cwd: Path | None = None) -> None:
        """Run ``python ARGUMENTS…`` in this installation's environment, as `prefect`."""
        self._start(" ".join(arguments), [sys.executable, *arguments], cwd=cwd).must_succeed(_COMMAND_S)

    def client(self) -> SyncPrefectClient:
        """Return a client of this installation's API, whatever this process's own settings say."""
        return SyncPrefectClient(self.api_url, auth_string=self._auth)

    def pid(self, service: str) -> int:
        """Return the process of a service: ``server``, a worker (`worker_name`), or what it was called."""
        return self._services[service].process.pid

    def kill(self, service: str) -> None:
        """Send SIGKILL to the process of a service, and to nothing that it has started."""
        self._services[service].process.kill()

    def kill_flow(self, flow_run: object) -> int:
        """Send SIGKILL to every process of a flow run; return how many there were (Linux; elsewhere none)."""
        return kill_all(processes_with(f"PREFECT__FLOW_RUN_ID={flow_run}"))

    def must_run(self) -> None:
        """Raise `flows.processes.ProcessError` if the server or a worker has ended."""
        for service in self._services.values():
            service.process.must_run()

    def worker_logs(self) -> str:
        """Return the end of every worker's log."""
        workers = [service.process for name, service in self._services.items() if name.startswith("worker")]
        return "\n".join(f"--- {worker.name}\n{worker.log_tail(60)}" for worker in workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What others talk to ends last. When it was started does not tell: a server that was killed is started again
        # behind its workers.
        last = [service.process for service in self._services.values() if service.ready is not None]
        for process in reversed(self._processes):
            if process not in last:
                process.stop()
        self._end_orphans()
        for process in reversed(last):
            process.stop()
        left = processes_with(f"PREFECT_HOME={self.home}")
        self.survivors = tuple(f"{pid}: {_command_of(pid)}" for pid in left)
        kill_all(left)

    def _end_orphans(self) -> None:
        """Ask flow runs to end whose worker was killed: they are in sessions of their own; nobody else asks them."""
        asked = set[int]()
        deadline = time.monotonic() + _ORPHANS_S
        while (left := self._orphans()) and time.monotonic() < deadline:
            below = {child for pid in left for child in descendants(pid)}
            for pid in set(left) - below - asked:  # a run ends its own units
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)

    def _orphans(self) -> tuple[int, ...]:
        """Return the processes of this installation that are in none of its services' sessions."""
        own = {process.pid for process in self._processes}
        left = []
        for pid in processes_with(f"PREFECT_HOME={self.home}"):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) not in own:
                    left.append(pid)
        return tuple(left)

    def _start(self, name: str, command: Sequence[str], *, cwd: Path | None = None) -> OwnedProcess:
        log = self._directory / "logs" / f"{len(self._processes)}.log"
        process = OwnedProcess(name, command, env=self.environment, log=log, cwd=cwd or self._directory)
        self._processes.append(process)
        return process


@dataclass(frozen=True)
class _Service:
    """A process that is to run, how it is started, and what says that it is ready."""

    process: OwnedProcess
    command: tuple[str, ...]
    ready: Callable[[], bool] | None


def worker_name(pool: str, number: int = 0) -> str:
    """Return what the `number`-th worker of a pool is called."""
    return f"worker {number} of {pool}"


def processes_with(variable: str) -> tuple[int, ...]:
    """Return the processes whose environment holds ``NAME=value`` (Linux; elsewhere none)."""
    processes = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in environ.read_bytes().split(b"\0"):
                processes.append(int(environ.parent.name))
    return tuple(sorted(processes))


def _command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def descendants(pid: int) -> tuple[int, ...]:
    """Return the processes below a process, at any depth (Linux; elsewhere none)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    below, waiting = [], [pid]
    while waiting:
        own = children.get(waiting.pop(), [])
        below += own
        waiting += own
    return tuple(below)


def kill_all(processes: Sequence[int]) -> int:
    """Send SIGKILL to processes; return to how many."""
    killed = 0
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed
