"""How often units are tried again that may pass; and of which deaths of a worker process that is so."""

from __future__ import annotations

import signal
from typing import Final

TRIES: Final = 3
"""How often a unit is tried in one run, as long as what it fails by may pass."""
BACK_OFF_S: Final = (1.0, 5.0)
"""How long it waits before each further try."""

_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""What processes are ended by from outside: by the kernel when memory runs out, by an administrator, at a shutdown."""


def death_may_pass(status: int | None) -> bool:
    """Return whether work may succeed when it is tried again, in whose middle a process ended with this status.

    A process that crashed, as by a segmentation fault, would crash again.
    """
    return status is None or -status in _FROM_OUTSIDE
