"""Run a sweep from the command line: no server to start, progress as it happens, errors as raised."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from flows import embedded
from flows.progress import Progress, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The run was interrupted by a signal, and says how to go on.

    Attributes
    ----------
    exit_code
        What the process should exit with: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, out: Path, signum: signal.Signals) -> None:
        self.out, self.signum, self.exit_code = out, signum, 128 + signum
        super().__init__(
            f"Interrupted. What was finished is kept in {out}; the same command continues where it stopped."
        )


def run(
    sweep: str,
    out: Path,
    *,
    steps: Sequence[str],
    scheduler: str | None,
    progress: Progress,
    part: str = "1/1",
) -> list[dict[str, Any]]:
    """Run steps of a sweep as a Prefect flow in this process and return one small record per unit of work.

    Parameters
    ----------
    sweep
        Path of a sweep file, or the name of a sweep that ships with the package.
    out
        Directory of the store, the results and the report.
    steps
        Which of ``train, dump, compare, stitch, report`` to run.
    scheduler
        Address of a Dask scheduler, or None for a local cluster.
    part
        ``K/N``: dump only the K-th of N parts.
    progress
        Called with (unit, done, total); what it raises ends the unit.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM.
    Exception
        Whatever a unit of work raised, unwrapped.
    """
    with _interruptible(out) as request, listening(request.heeded(progress)):
        server = embedded.prepare()
        progress("start Prefect", 0, 1)
        # Prefect reads its settings when it is imported, so it is imported here: the settings exist now,
        # and the server starts meanwhile.
        from flows.sweep import sweep as flow  # noqa: PLC0415

        if server is not None:
            server.wait_until_healthy()
        progress("start Prefect", 1, 1)
        return flow(sweep, str(out), scheduler=scheduler, steps=list(steps), part=part)


class _StopRequest:
    """Remembers that the run was asked to stop.

    A signal handler asks by raising, and Python drops what is raised inside a destructor (seen: the run went on
    to its end). So the request is also kept, and heeded at the next report.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._signum: signal.Signals | None = None
        self._wrapped: dict[int, Any] = {}

    def heeded(self, progress: Progress) -> Progress:
        """Return `progress`, which raises `Interrupted` once the run was asked to stop."""

        def report(unit: str, done: int, total: int) -> None:
            if threading.current_thread() is threading.main_thread():
                self._listen()
            if self._signum is not None:
                raise Interrupted(self._out, self._signum)
            progress(unit, done, total)

        return report

    def _listen(self) -> None:
        """Stand before the present handlers: Prefect puts its own for as long as a flow runs."""
        for signum in (signal.SIGINT, signal.SIGTERM):
            present = signal.getsignal(signum)
            if present != self._noted and callable(present):
                self._wrapped[signum] = present
                signal.signal(signum, self._noted)

    def _noted(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signal.Signals(signum)
        self._wrapped[signum](signum, frame)


@contextmanager
def _interruptible(out: Path) -> Iterator[_StopRequest]:
    """Turn Ctrl-C and SIGTERM inside the block into `Interrupted`.

    During a flow Prefect handles SIGTERM: it marks the run as crashed and then sends the signal again, to the
    handler that stood before, which is this one. Outside the main thread signals are left alone.
    """

    def terminated(signum: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(out, signal.Signals(signum))

    main = threading.current_thread() is threading.main_thread()
    previous = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    if main:
        signal.signal(signal.SIGTERM, terminated)
    try:
        yield _StopRequest(out)
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(out, signal.SIGINT) from None
    finally:
        if main:
            for signum, handler in previous.items():
                signal.signal(signum, handler)
