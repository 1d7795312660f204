"""How far a running sweep is: from the tasks back to the command line.

The listener travels in a context variable: a flow parameter would have to be JSON.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Called with the unit's name (``"dump resnet-a test"``), how much of it is done, and how much there is.
Progress: TypeAlias = "Callable[[str, int, int], None]"


_LISTENER: ContextVar[Progress | None] = ContextVar("stitchpipe_listener", default=None)


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Send the reports of all units that start inside the block to `progress`."""
    token = _LISTENER.set(progress)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def reporter(unit: str) -> Callable[[int, int], None]:
    """Return the ``report(done, total)`` of one unit of work, bound to the listener of this context."""
    listener = _LISTENER.get()

    def report(done: int, total: int) -> None:
        if listener is not None:
            listener(unit, done, total)

    return report
