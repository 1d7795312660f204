"""Results that were written and are not listed yet: the listings of a bucket may lag behind."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from stitchpipe.run.ledger import Ledger
from stitchpipe.steps.unit_keys import unit_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.run import Run
    from stitchpipe.run.place import RunPlace

logger = logging.getLogger(__name__)

WAITS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""How long results that must be there are waited for, look by look."""


class Seen(Protocol):
    """What a look at the results found."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        ...


_T = TypeVar("_T", bound=Seen)


def until_listed(place: RunPlace, look: Callable[[], _T], units: Callable[[], Mapping[str, str]]) -> _T:
    """Return what a look at the results finds; where the ledger says that what is missing was written, look again.

    What is still missing after `WAITS_S` is left to whoever asks, and said in the log.

    Parameters
    ----------
    look
        Called again after each wait.
    units
        Returns those that wrote what is looked for: name → digest of what is asked of them now. Called where something
        is missing in a bucket alone: a digest of each target layer takes its time.
    """
    seen = look()
    if seen.is_whole or not must_be_there(place, units):
        return seen
    for wait_s in WAITS_S:
        time.sleep(wait_s)
        seen = look()
        if seen.is_whole:
            return seen
    logger.warning(
        "Results that the run's records call done are not among the files of %s. Run again, and `stitchpipe verify`.",
        place.url,
    )
    return seen


def must_be_there(place: RunPlace, units: Callable[[], Mapping[str, str]]) -> bool:
    """Return whether all these units ended well, as they are asked now, in a place whose listings may lag behind.

    Those of a folder are true, so that nothing is waited for there. `units`: see `until_listed`.
    """
    if place.is_folder:
        return False
    ledger = Ledger(place.files)
    outcomes = ((ledger.of(unit), key) for unit, key in units().items())
    return all(
        outcome is not None and (outcome.state, outcome.key) == ("done", key) for outcome, key in outcomes
    )


def writing_units(run: Run) -> dict[str, str]:
    """Return the units that write the results of a sweep: name → digest of what is asked of them now."""
    targets = sorted({(planned.target.model, planned.target.layer) for planned in run.stitches})
    units = [*([("compare",)] if run.sweep.compare else []), *(("stitch", *target) for target in targets)]
    return {" ".join(unit): unit_key(run, unit[0], unit[1:]) for unit in units}
