"""Many pairs, one claim: what the largest of a family of pairs would be if no image belonged with its partner.

Whoever looks over many pairs for the best one finds a high value by the search alone. Under one order of the images
all pairs of a family have a value, and the largest of them is what the search would have found there (Westfall and
Young 1993). The pairs' nulls differ in spread, with widths and ranks, so that values are first brought to a common
scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.certainty.calibration import ROUNDING, exceeding_of
from stitchpipe.algebra.errors import RowsError

if TYPE_CHECKING:
    from typing import Self

Float64: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.integer[Any]]

NO_FAMILY = -1
"""The family of a pair that belongs to none."""

_SAME = 1e-9  # studentised values this close are taken to be equal: rounding of pairs with other scales


@dataclass(frozen=True, eq=False)
class NullScale:
    """Where the null of each pair lies and how wide it is, which is all that a family needs beside its maxima.

    Attributes
    ----------
    mean, deviation
        ``[...]``, of the K permuted values alone.
    permutations
        K.
    """

    mean: Float64
    deviation: Float64
    permutations: int

    @classmethod
    def of(cls, null: Float64) -> Self:
        """Return the scale of every pair's ``null [K, ...]``. Time and memory O(K) a pair."""
        return cls(null.mean(axis=0), null.std(axis=0), len(null))

    def studentised(self, observed: Float64, values: Float64) -> Float64:
        """Return ``values [..., pairs]`` less the mean, over the deviation, of all K + 1 orders of their pair.

        The observed order is one of the K + 1, so that all of them are treated alike and the largest over a family
        remains exchangeable between orders: the test stays exact. A pair whose values are all equal has 0.
        """
        centre, deviation = self._of_all_orders(observed)
        is_flat = deviation <= ROUNDING
        return np.where(is_flat, 0.0, (values - centre) / np.where(is_flat, 1.0, deviation))

    def reached_from(self, observed: Float64) -> Float64:
        """Return the studentised value from which on an order counts as reaching the observed one."""
        _, deviation = self._of_all_orders(observed)
        slack = 2.0 * ROUNDING / np.maximum(deviation, ROUNDING)
        return self.studentised(observed, observed) - _SAME - slack

    def value_of(self, studentised: Float64) -> Float64:
        """Return what a pair must be observed at to stand at a studentised value, given the null that it has.

        With v the observed value, m and s the null's mean and deviation and d = v − m, the deviation of all orders is
        √(K·s²/(K + 1) + K·d²/(K + 1)²) and z = d·K/(K + 1) over it. Solved for d: d = z·s·√((K + 1)/(K − z²)).
        No value stands at √K or above unless the null has no spread.
        """
        left = np.maximum(self.permutations - studentised**2, 0.0)
        with np.errstate(divide="ignore"):
            stretch = studentised * np.sqrt((self.permutations + 1) / left)
        return self.mean + np.where(self.deviation > 0.0, stretch * self.deviation, 0.0)

    def _of_all_orders(self, observed: Float64) -> tuple[Float64, Float64]:
        """Return mean and deviation of the K permuted values and the observed one, as in `value_of`."""
        share, beyond = 1.0 / (self.permutations + 1), observed - self.mean
        variance = self.permutations * share * (self.deviation**2 + share * beyond**2)
        return self.mean + share * beyond, np.sqrt(variance)


def family_maxima(studentised: Float64, families: Codes) -> tuple[Codes, Float64]:
    """Return the families that occur, ascending, and the largest of each in every order, ``[F, K]``.

    Parameters
    ----------
    studentised
        ``[K, pairs]``, the null (`NullScale.studentised`) under orders that all pairs of a family share.
    families
        ``[pairs]``; `NO_FAMILY` for pairs that belong to none.

    Notes
    -----
    The maxima of parts of a family merge by the larger. Time and memory O(K·pairs).
    """
    members = np.flatnonzero(families != NO_FAMILY)
    in_order = members[np.argsort(families[members], kind="stable")]
    codes, starts = np.unique(families[in_order], return_index=True)
    if not len(codes):
        return codes, np.empty((0, len(studentised)))
    by_pair = np.ascontiguousarray(studentised.T[in_order])
    return codes, np.maximum.reduceat(by_pair, starts, axis=0)


@dataclass(frozen=True, eq=False)
class FamilyCalibration:
    """What the maxima of one family say of its pairs; arrays of their shape.

    Attributes
    ----------
    threshold
        What a pair must exceed to be the family's finding, in the index's own unit.
    score
        (s − threshold)/(s_max − threshold) where p ≤ level, otherwise 0: in [0, 1].
    p_value
        (1 + #{orders whose largest studentised value reaches the pair's own})/(K + 1).
    """

    threshold: Float64
    score: Float64
    p_value: Float64


def calibrate_in_family(
    observed: Float64, scale: NullScale, maxima: Float64, *, level: float = 0.05, largest: float = 1.0
) -> FamilyCalibration:
    """Return family-wise p-values, thresholds and scores of the pairs of one family, larger meaning more similar.

    Single-step maxT of studentised values. If the images of one model are paired at random with those of the other,
    the chance that any p of the family is at most `level` is at most `level`, whatever the layers of either model have
    in common among themselves. Never below the p of the pair alone.

    Parameters
    ----------
    observed
        ``[pairs]``, every entry defined.
    scale
        Of the same pairs.
    maxima
        ``[K]``, over the whole family (`family_maxima`).
    level, largest
        As of `calibrate`.

    Raises
    ------
    RowsError
        Another number of maxima than of permutations; a level that K permutations cannot reach.

    Notes
    -----
    Time O((K + pairs)·log K). Westfall and Young 1993, algorithm 2.5; Gröger et al. 2026 (the score).
    """
    draws = scale.permutations
    if maxima.shape != (draws,):
        raise RowsError(
            where="calibration in a family",
            expected=f"the largest of the family under each of {draws} permutations",
            found=f"shape {maxima.shape}",
            remedy="Pass the maxima of the orders that the pairs were permuted by.",
        )
    exceeding = exceeding_of(level, draws)
    ordered = np.sort(maxima)
    # The observed order is one of the K + 1, hence the 1, as in `calibrate`.
    at_least = draws - np.searchsorted(ordered, scale.reached_from(observed), side="left")
    p_value = (1 + at_least) / (draws + 1)
    threshold = scale.value_of(np.full_like(observed, ordered[draws - exceeding]))
    is_found = 1 + at_least <= exceeding
    above = np.where(is_found, np.maximum(largest - threshold, ROUNDING), 1.0)
    score = np.where(is_found, (observed - np.where(is_found, threshold, 0.0)) / above, 0.0)
    return FamilyCalibration(threshold, np.clip(score, 0.0, 1.0), p_value)


def holm(p_values: Float64, families: Codes) -> Float64:
    """Return p adjusted for any false finding over the family of each pair, NaN where it belongs to none.

    Rejecting what is at most α keeps the chance of one false rejection or more at α or below, however the pairs depend
    on each other: max over j ≤ i of p₍ⱼ₎·(m − j + 1), at most 1, for the i-th smallest of m. For p-values of a closed
    form, whose family has no permutations that the pairs share.

    Parameters
    ----------
    p_values, families
        ``[pairs]``; `NO_FAMILY` for pairs that belong to none. What has no p counts in no family.

    Notes
    -----
    Time O(pairs·log pairs). Holm 1979.
    """
    adjusted = np.full(len(p_values), np.nan)
    members = np.flatnonzero((families != NO_FAMILY) & ~np.isnan(p_values))
    in_order = members[np.lexsort((p_values[members], families[members]))]
    _, starts, sizes = np.unique(families[in_order], return_index=True, return_counts=True)
    for first, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        rows = in_order[first : first + size]
        stepped = np.maximum.accumulate(p_values[rows] * np.arange(size, 0, -1))
        adjusted[rows] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_yekutieli(p_values: Float64, families: Codes) -> Float64:
    """Return p adjusted for false discoveries over the family of each pair, NaN where it belongs to none.

    Rejecting what is at most q keeps the expected share of false ones among the rejected at q or below, however the
    pairs depend on each other: min over j ≥ i of p₍ⱼ₎·(m/j)·Σ_{k ≤ m} 1/k, at most 1, for the i-th smallest of m.

    Parameters
    ----------
    p_values, families
        ``[pairs]``; `NO_FAMILY` for pairs that belong to none.

    Notes
    -----
    Time O(pairs·log pairs). Benjamini and Yekutieli 2001.
    """
    adjusted = np.full(len(p_values), np.nan)
    members = np.flatnonzero(families != NO_FAMILY)
    in_order = members[np.argsort(families[members], kind="stable")]
    _, starts, sizes = np.unique(families[in_order], return_index=True, return_counts=True)
    # Families of one size lie side by side as rows, so that thousands of them are a few calls.
    for size in np.unique(sizes):
        rows = in_order[starts[sizes == size][:, None] + np.arange(size)]
        adjusted[rows] = _step_up(p_values[rows])
    return adjusted


def _step_up(p_values: Float64) -> Float64:
    """Return the adjusted p of families of one size, ``[F, m]``. SciPy has it in a module that takes 1 s to import."""
    m = p_values.shape[1]
    ranks = np.arange(1, m + 1)
    descending = np.argsort(-p_values, axis=1, kind="stable")
    factors = m * np.sum(1.0 / ranks) / ranks[::-1]
    stepped = np.minimum.accumulate(np.take_along_axis(p_values, descending, axis=1) * factors, axis=1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, descending, np.minimum(stepped, 1.0), axis=1)
    return adjusted
