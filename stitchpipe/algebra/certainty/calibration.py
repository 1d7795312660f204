"""From a permutation null to a p-value and a score that is 0 where nothing is found."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from stitchpipe.algebra.errors import RowsError
from stitchpipe.algebra.inputs import Array, namespace

ROUNDING = 1e-12
"""Permuted values this little below the observed one are taken to equal it."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a permutation null of K draws says of observed values; arrays of their shape.

    Attributes
    ----------
    threshold
        τ, the ⌈(1 − level)(K + 1)⌉-th smallest of the null.
    score
        (s − τ)/(s_max − τ) where s > τ, otherwise 0: in [0, 1].
    p_value
        (1 + #{null ≥ s})/(K + 1).
    permutations
        K.
    level
        The share of independent pairs that may score above 0.
    """

    threshold: Array
    score: Array
    p_value: Array
    permutations: int
    level: float


def calibrate(observed: Array, null: Array, *, level: float = 0.05, largest: float = 1.0) -> Calibration:
    """Return threshold, score and p of ``observed [...]`` under ``null [K, ...]``, larger meaning more similar.

    A score is above 0 exactly where p ≤ level. Ties count against the observed value, those by rounding included,
    so that for exchangeable samples P(p ≤ level) ≤ level whatever their distribution.

    Parameters
    ----------
    observed, null
        As from `permutation_null`; every entry defined.
    level
        Of the test, per pair: many pairs want their own correction.
    largest
        s_max, the value of a representation with itself.

    Raises
    ------
    RowsError
        Shapes that do not belong together; a level that K permutations cannot reach, below 1/(K + 1).

    Notes
    -----
    Time O(K·log K) for each entry. Phipson and Smyth 2010 (the 1 added to both sides); Gröger et al. 2026 (the
    score).
    """
    xp = namespace(observed, null)
    if tuple(null.shape[1:]) != tuple(observed.shape) or not null.shape[0]:
        raise RowsError(
            where="calibration",
            expected=f"a null of shape (K, {', '.join(map(str, observed.shape))}), K ≥ 1",
            found=f"{tuple(null.shape)}",
            remedy="Pass both as they come from one permutation null.",
        )
    draws = int(null.shape[0])
    exceeding = exceeding_of(level, draws)
    ordered = xp.sort(null, axis=0)
    threshold = ordered[draws - exceeding, ...]
    # The observed order is one of the K + 1, hence the 1 (Phipson and Smyth 2010).
    reached = xp.sum(xp.astype(null >= observed[None, ...] - ROUNDING, xp.int64), axis=0)
    p_value = xp.astype(1 + reached, xp.float64) / (draws + 1)
    # Above τ exactly where p ≤ level, by the same rounding: a score and its p-value never contradict each other.
    significant = observed - ROUNDING > threshold
    above = xp.where(significant, largest - threshold, xp.ones_like(threshold))
    score = xp.where(significant, (observed - threshold) / above, xp.zeros_like(threshold))
    return Calibration(threshold, xp.clip(score, 0.0, 1.0), p_value, draws, level)


def exceeding_of(level: float, draws: int) -> int:
    """Return how many of the K + 1 values, the observed one among them, may be at least s where p ≤ level.

    Raises
    ------
    RowsError
        No number of them makes such a p.
    """
    exceeding = floor(level * (draws + 1) + 1e-9)
    if not 1 <= exceeding <= draws:
        raise RowsError(
            where="calibration",
            expected=f"a level from {1 / (draws + 1):.4g}, the smallest p of {draws} permutations, to below 1",
            found=f"level = {level!r}",
            remedy="Draw more permutations, or choose a larger level.",
        )
    return exceeding
