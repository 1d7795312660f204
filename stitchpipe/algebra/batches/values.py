"""What the formula of an index gives for a batch of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stitchpipe.algebra.batches.slices import Flags, Floats, Integers

_SLACK = 0.9e-6  # a little less than what `guards.within` grants to rounding


@dataclass(frozen=True, eq=False)
class BatchValues:
    """Values of a batch of pairs, with rank and conditioning where the index inverts anything.

    Attributes
    ----------
    values
        ``[B]``. NaN where the batch does not vouch for the pair: its number, or why there is none, is then what the
        index says of that pair alone.
    rank, condition
        ``[B]``; None for an index that inverts nothing.
    """

    values: Floats
    rank: Integers | None = None
    condition: Floats | None = None


def vouched(values: Floats, among: Flags, low: float, high: float) -> Floats:
    """Return the values of some pairs, cut to their range (`guards.within`); NaN for all others.

    What is farther out than rounding carries is NaN too, so that the formula of that pair alone refuses it.
    """
    known = among & (values >= low - _SLACK) & (values <= high + _SLACK)
    return np.where(known, np.clip(values, low, high), np.nan)
