"""Rank correlations of two columns, fast enough to be taken again without each unit."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import kendalltau

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_PAIRS: Final = 3


def codes(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return whole numbers in the same order, equal ones for equal values: what `spearman` ranks without sorting."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def spearman(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Return Spearman's ρ, ties at their mean ranks; NaN of fewer than three pairs, or without variation.

    Time O(n log n); O(n) for whole numbers from 0 on, as `codes` gives them.
    """
    if len(x) < LEAST_PAIRS:
        return nan
    first, second = (mean_ranks(values) for values in (x, y))
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 0 else nan


def kendall(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Return Kendall's τ-b, which allows for ties; NaN as `spearman`."""
    if len(x) < LEAST_PAIRS or len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return nan
    return float(kendalltau(x, y).statistic)


def mean_ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return ranks from 1, ties at their mean."""
    coded = values if values.dtype.kind in "iu" else codes(values)
    counts = np.bincount(coded)
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[coded]
    return ranks
