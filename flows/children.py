"""Child processes that end with their parent: on exit, on an error, and when the parent is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

_PR_SET_PDEATHSIG = 1


class ChildError(ExplainedError, RuntimeError):
    """A child process ended, or did not answer in time."""


class Child:
    """One child process in a session of its own, with its output in a file.

    A session of its own keeps a Ctrl-C at the terminal from reaching it before its parent has said goodbye;
    on Linux the kernel sends it SIGTERM when the parent dies, however the parent dies.

    Parameters
    ----------
    name
        What the process is called in messages.
    command
        Program and arguments; no shell.
    env
        The whole environment of the process.
    log
        File for stdout and stderr together, appended to.
    cwd
        Working directory; default: this process's.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
    ) -> None:
        self.name, self.log = name, log
        self._stopped = False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            self._process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509 - one prctl call, no Python locks taken
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def returncode(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def must_run(self) -> None:
        """Raise `ChildError` if the process has ended."""
        if (status := self.returncode()) is not None:
            raise self._error("that it runs", f"that it ended with status {status}")

    def must_succeed(self, timeout_s: float) -> None:
        """Wait for the end; raise `ChildError` unless it comes in time and with status 0."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise self._error(f"an end within {timeout_s:.0f} s", "that it still runs") from exc
        if status != 0:
            raise self._error("success", f"status {status}")

    def wait_for(
        self, ready: Callable[[], bool], *, what: str, timeout_s: float, poll_s: float = 0.2
    ) -> None:
        """Poll `ready` until it is true; raise `ChildError` if the process ends or time runs out first."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if (status := self.returncode()) is not None:
                raise self._error(what, f"that it ended with status {status}")
            if time.monotonic() > deadline:
                raise self._error(f"{what} within {timeout_s:.0f} s", "no answer")
            time.sleep(poll_s)

    def stop(self, grace_s: float = 10.0) -> None:
        """End the process and its session: SIGTERM, then SIGKILL after `grace_s` seconds. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        for signum, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _error(self, expected: str, found: str) -> ChildError:
        return ChildError(
            where=f"{self.name} (process {self.pid})",
            expected=expected,
            found=found,
            remedy=f"The end of {self.log} says:\n{self.log_tail()}",
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


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before it becomes its program: ask for SIGTERM at the parent's death."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
