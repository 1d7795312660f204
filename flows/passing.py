"""Which failures may pass by themselves, and are tried again: a place that does not answer, a worker that was lost."""

from __future__ import annotations

import signal
from typing import Final

from storage import UnreachableError, WriteError

TRIES: Final = 3
"""How often a unit is tried in one run, as long as what it fails by may pass."""
BACK_OFF_S: Final = (1.0, 5.0)
"""How long it waits before each further try."""

_PASSING = (UnreachableError, WriteError, ConnectionError, TimeoutError, MemoryError)
_BY_NAME: Final = {
    "OutOfMemoryError",
    "ExecutionError",
    "SchedulerError",
    "WorkerLostError",
    "LostSchedulerError",
}
"""Classes of torch and of the engine, which are heavy to import for a question like this."""
_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""What processes are ended by from outside: by the kernel when memory runs out, by an administrator, at a shutdown."""


def may_pass(error: BaseException) -> bool:
    """Return whether the same work may succeed when it is tried again."""
    return isinstance(error, _PASSING) or any(kind.__name__ in _BY_NAME for kind in type(error).__mro__)


def death_may_pass(status: int | None) -> bool:
    """Return the same of a process that ended with this status in the middle of its work.

    A process that crashed, as by a segmentation fault, would crash again.
    """
    return status is None or -status in _FROM_OUTSIDE
