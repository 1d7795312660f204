"""How well a number tells two kinds of pairs apart: the area under the curve, and d′."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, Any

from stitchpipe.studies.rank_correlation import mean_ranks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def auc(values: npt.NDArray[Any], is_first: npt.NDArray[np.bool_]) -> float:
    """Return how often a number of the first kind is above one of the second, ties half (Mann and Whitney 1947).

    ½ says that they are not told apart; NaN where one kind has none.
    """
    first, second = int(is_first.sum()), int((~is_first).sum())
    if not first or not second:
        return nan
    ranks = mean_ranks(values)
    return float((ranks[is_first].sum() - first * (first + 1) / 2) / (first * second))


def d_prime(values: npt.NDArray[np.float64], is_first: npt.NDArray[np.bool_]) -> float | None:
    """Return the difference of the two means in units of the root mean variance; None where nothing varies."""
    first, second = values[is_first], values[~is_first]
    if min(len(first), len(second)) < 2:
        return None
    spread = sqrt((float(first.var(ddof=1)) + float(second.var(ddof=1))) / 2)
    return float(first.mean() - second.mean()) / spread if spread > 0 else None
