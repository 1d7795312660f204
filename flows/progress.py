"""How far a running sweep is, and how it is asked to stop: from the command line to the tasks and back.

The listener travels in a context variable: Prefect copies the context into the threads of its task runner,
whereas a flow parameter would have to be JSON.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Called with the unit's name (``"dump resnet-a test"``), how much of it is done, and how much there is.
Progress: TypeAlias = "Callable[[str, int, int], None]"


class Stopped(Exception):  # noqa: N818 - an outcome that was asked for, not an error
    """The unit ended early because the run was interrupted; what it committed stays committed."""


class Listener:
    """Hands progress to one callback, from one thread at a time, until it is told to stop."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Make every unit that is running end at its next report."""
        self._stop.set()

    def heard(self, unit: str, done: int, total: int) -> None:
        """Pass one report on; raise `Stopped` if the run was interrupted."""
        if self._stop.is_set():
            raise Stopped(unit)
        with self._lock:
            self._progress(unit, done, total)


_LISTENER: ContextVar[Listener | None] = ContextVar("stitchpipe_listener", default=None)


@contextmanager
def listening(progress: Progress) -> Iterator[Listener]:
    """Send the reports of all units that start inside the block to `progress`."""
    listener = Listener(progress)
    token = _LISTENER.set(listener)
    try:
        yield listener
    finally:
        _LISTENER.reset(token)


def reporter(unit: str) -> Callable[[int, int], None]:
    """Return the ``report(done, total)`` of one unit of work, bound to the listener of this context."""
    listener = _LISTENER.get()

    def report(done: int, total: int) -> None:
        if listener is not None:
            listener.heard(unit, done, total)

    return report


def stop_units() -> None:
    """Make the units of this context end at their next report (nobody listens: they run to their end)."""
    if (listener := _LISTENER.get()) is not None:
        listener.stop()
