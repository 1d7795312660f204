"""Whether a command would find everything as the last one left it, and so need not begin at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.unit import WHOLE
from stitchpipe.steps.failures import demand_none_failed

if TYPE_CHECKING:
    from collections.abc import Collection

    from stitchpipe.run.settled import Settled


def is_everything_there(
    settled: Settled, steps: Collection[str], *, part: str = WHOLE, retry_failed: bool = False
) -> bool:
    """Return whether a command that is on record took these steps, and left everything as it is now.

    A part of a dump, and a command that tries again what failed, always begin.

    Raises
    ------
    stitchpipe.steps.UnitsFailedError
        It left everything as it is now, but for units that fail by themselves.
    """
    known = None if part != WHOLE or retry_failed else settled.found(steps)
    if known is not None:
        demand_none_failed(settled.place.url, known["failed"])
    return known is not None
