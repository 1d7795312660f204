"""Prefect without a server to start: settings that keep it offline, and a private server on loopback.

Everything here happens before `prefect` is imported, because Prefect reads its settings at import.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flows.processes import OwnedProcess, ProcessError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

#: Settings that keep Prefect off the network. An explicit setting of the user's wins.
OFFLINE: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
}

#: Settings that keep it silent where it runs inside a command of ours.
_QUIET: Mapping[str, str] = {
    # Errors reach the caller as exceptions; as log records they would be shown twice, the first time raw.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}

#: What the private server leaves out: nothing is deployed to it, so nothing is scheduled or late.
_NO_SCHEDULES: Mapping[str, str] = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}

#: How long the server may take until it answers. It shares the cores with the first units of work.
STARTUP_S = 120.0

#: How many private servers may run at a time on one machine: one for each running command.
_MOST_HOMES = 1000


def homes(environ: Mapping[str, str]) -> Path:
    """Return the directory of all private servers: ``$STITCHPIPE_PREFECT_HOME``, or one in the user's cache."""
    if explicit := environ.get("STITCHPIPE_PREFECT_HOME"):
        return Path(explicit).expanduser().absolute()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "stitchpipe" / "prefect"


class PrivateServer:
    """A Prefect API server for this process alone; it starts in the background and ends with the process.

    Its database lives in one of several numbered directories below `directory`, each locked by the process that
    uses it. Two runs at the same time therefore never migrate or write one SQLite file, and a later run finds a
    database that is already migrated, which halves the start.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._lock, self.home = claimed_home(directory)
        port = free_port()
        self.api_url = f"http://127.0.0.1:{port}/api"
        settings = {**environ, **_NO_SCHEDULES, "PREFECT_HOME": str(self.home)}
        log = self.home / "server.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
        self._process = OwnedProcess("the private Prefect server", command, env=settings, log=log)

    def wait_until_healthy(self) -> None:
        """Return when the server answers; raise `flows.processes.ProcessError` if it ends or does not answer."""
        self._process.wait_until(
            lambda: answers(f"{self.api_url}/health"), what="an answer", timeout_s=STARTUP_S, poll_s=0.1
        )

    def stop(self) -> None:
        """Stop the server and give its directory back. Idempotent."""
        self._process.stop()
        self._lock.close()


def prepare(environ: MutableMapping[str, str] = os.environ) -> PrivateServer | None:
    """Point this process at a Prefect API: the one in ``PREFECT_API_URL``, or a private server.

    Returns the server (started, perhaps not ready yet), or None where an address was given. Afterwards `prefect`
    may be imported, which overlaps with the server's start.
    """
    for name, value in OFFLINE.items():
        environ.setdefault(name, value)
    if environ.get("PREFECT_API_URL"):
        return None
    for name, value in _QUIET.items():
        environ.setdefault(name, value)
    server = PrivateServer(homes(environ), environ)
    atexit.register(server.stop)
    environ["PREFECT_HOME"] = str(server.home)
    environ["PREFECT_API_URL"] = server.api_url
    return server


def claimed_home(directory: Path) -> tuple[IO[bytes], Path]:
    """Return the first numbered directory that no running process uses, and the open file that locks it."""
    for number in range(_MOST_HOMES):
        home = directory / str(number)
        try:
            home.mkdir(parents=True, exist_ok=True)
            lock = (home / "lock").open("ab")
        except OSError as error:
            raise ProcessError(
                where=str(directory),
                expected="a folder for the databases of private Prefect servers",
                found=f"one that cannot be written ({error.strerror})",
                remedy="Name another directory in STITCHPIPE_PREFECT_HOME.",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, home
    raise ProcessError(
        where=str(directory),
        expected="a home for another private Prefect server",
        found=f"{_MOST_HOMES} that running processes use",
        remedy="End some of them, or name another directory in STITCHPIPE_PREFECT_HOME.",
    )


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Return whether an HTTP GET of `url` succeeds within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2.0) as response:  # noqa: S310 - our own http address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
