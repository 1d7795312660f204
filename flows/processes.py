"""Processes that end with this one: when it is done, when it fails, and when it is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

_PR_SET_PDEATHSIG = 1
_KILLED_S = 5.0


class ProcessError(ExplainedError, RuntimeError):
    """A process that was started here ended early, failed, or did not answer in time."""


class OwnedProcess:
    """A process that this one starts and that never outlives it.

    It gets a session of its own: a Ctrl-C at the terminal then reaches this process alone, which decides when the
    other one ends. On Linux the kernel sends it SIGTERM when the thread that started it ends, however that happens.

    Parameters
    ----------
    name
        What the process is called in messages.
    command
        Program and arguments; no shell.
    env
        The whole environment of the process.
    log
        File that its stdout and stderr are appended to.
    cwd
        Working directory; default: this process's.
    pass_fds
        File descriptors that it keeps open under the same numbers.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
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
                pass_fds=pass_fds,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509 - one prctl call, no Python locks taken
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def returncode(self) -> int | None:
        """Return the exit status, negative after a signal, or None while the process runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def must_run(self) -> None:
        """Raise `ProcessError` if the process has ended."""
        if (status := self.returncode()) is not None:
            raise self.failure(expected="that it runs", found=f"that it ended {ending(status)}")

    def must_succeed(self, timeout_s: float) -> None:
        """Wait for the end; raise `ProcessError` unless it comes in time and with status 0."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise self.failure(
                expected=f"an end within {timeout_s:.0f} s", found="that it still runs"
            ) from exc
        if status != 0:
            raise self.failure(expected="success", found=f"an end {ending(status)}")

    def wait_until(
        self, ready: Callable[[], bool], *, what: str, timeout_s: float, poll_s: float = 0.2
    ) -> None:
        """Poll `ready` until it is true; raise `ProcessError` if the process ends or time runs out first."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if (status := self.returncode()) is not None:
                raise self.failure(expected=what, found=f"that it ended {ending(status)}")
            if time.monotonic() > deadline:
                raise self.failure(expected=f"{what} within {timeout_s:.0f} s", found="no answer")
            time.sleep(poll_s)

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit status once the process has ended, or None if it still runs after `timeout_s` seconds."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Send SIGKILL to the process alone, whatever it has started, and wait for its end."""
        self._process.kill()
        self.wait(_KILLED_S)

    def stop(self, grace_s: float = 10.0) -> None:
        """End the process and its session: SIGTERM, then SIGKILL after `grace_s` seconds. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        for signum, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILLED_S)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signum)
            self.wait(wait_s)

    def failure(self, *, expected: str, found: str) -> ProcessError:
        """Return the error that says what was expected of the process, with the end of its output."""
        return ProcessError(
            where=f"{self.name} (process {self.pid})",
            expected=expected,
            found=found,
            remedy=f"The end of its output ({self.log}):\n{self.log_tail()}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ending(status: int) -> str:
    """Return how a process with this exit status ended: ``with status 3``, ``by the signal SIGKILL``."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by the signal {signal.Signals(-status).name}"
    except ValueError:
        return f"by the signal {-status}"


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a process calls before it becomes its program: ask for SIGTERM at the death of who started it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
