"""Prefect without a server to start: an offline environment and a private server on loopback.

Everything here happens before `prefect` is imported, because Prefect reads its settings at import.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flows.children import Child, answers, free_port

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

_STARTUP_S = 120.0


def home(environ: Mapping[str, str]) -> Path:
    """Return the directory of embedded runs: ``$STITCHPIPE_PREFECT_HOME``, or one in the user's cache."""
    if explicit := environ.get("STITCHPIPE_PREFECT_HOME"):
        return Path(explicit).expanduser().absolute()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "stitchpipe" / "prefect"


class EmbeddedServer:
    """A Prefect API server for this process alone; it starts in the background and ends with the process.

    Its database lives in one of several numbered directories below `directory`, each locked by the process
    that uses it: two runs at the same time never migrate or write one SQLite file, and a later run finds a
    database that is already migrated (which halves the start).
    """

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._lock, self.home = _claim(directory)
        port = free_port()
        self.api_url = f"http://127.0.0.1:{port}/api"
        settings = {**environ, **_NO_SCHEDULES, "PREFECT_HOME": str(self.home)}
        log = self.home / "server.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
        self._child = Child("the embedded Prefect server", command, env=settings, log=log)

    def wait_until_healthy(self) -> None:
        """Return when the server answers; raise `flows.children.ChildError` if it does not."""
        self._child.wait_for(
            lambda: answers(f"{self.api_url}/health"), what="an answer", timeout_s=_STARTUP_S, poll_s=0.1
        )

    def stop(self) -> None:
        """Stop the server and give its directory back. Idempotent."""
        self._child.stop()
        self._lock.close()


def prepare(environ: MutableMapping[str, str] = os.environ) -> EmbeddedServer | None:
    """Point this process at a Prefect API: the one in ``PREFECT_API_URL``, or a private server.

    Returns the server (started, perhaps not ready yet), or None where an address was given. Afterwards
    `prefect` may be imported, which overlaps with the server's start.
    """
    for name, value in OFFLINE.items():
        environ.setdefault(name, value)
    if environ.get("PREFECT_API_URL"):
        return None
    for name, value in _QUIET.items():
        environ.setdefault(name, value)
    server = EmbeddedServer(home(environ), environ)
    atexit.register(server.stop)
    environ["PREFECT_HOME"] = str(server.home)
    environ["PREFECT_API_URL"] = server.api_url
    return server


def _claim(directory: Path) -> tuple[IO[bytes], Path]:
    """Lock and return the first numbered directory that no running process uses."""
    for number in range(1000):
        place = directory / str(number)
        place.mkdir(parents=True, exist_ok=True)
        lock = (place / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, place
    raise RuntimeError(f"all directories below {directory} are locked by running processes")
