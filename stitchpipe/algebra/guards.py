"""When an index has no value, and how far rounding may carry one out of its range."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps, by_side

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import CentredRows, Moments, PairMoments


def variation(rows: Moments | CentredRows, *, index: str, side: str) -> float:
    """Return ‖X̃‖_F = √tr(XX), refusing rows that do not vary beyond the rounding of their mean.

    Raises
    ------
    UndefinedIndexError
        ``too_few_rows`` for a single row, ``constant`` where all rows are the same.
    """
    return _spread(rows.n, rows.mean, rows.total, index, side)


def total_variation(n: int, mean: Array, comoment: Array, *, index: str, side: str) -> float:
    """Return ‖X̃‖_F from its parts, as `variation`; `comoment` is any matrix with the trace of XX."""
    return _spread(n, mean, float(namespace(comoment).linalg.trace(comoment)), index, side)


def _spread(n: int, mean: Array, total: float, index: str, side: str) -> float:
    if n < 2:
        raise UndefinedIndexError(
            status="too_few_rows",
            where=index,
            expected="at least 2 rows",
            found=f"n = {n}",
            remedy="Compare on more samples.",
        )
    # Equal rows leave a spread of rounding alone, whose size goes with the norm of the mean: about
    # eps·√n·‖mean‖.
    spread = sqrt(max(0.0, total))
    if spread <= 8.0 * EPS64 * sqrt(n) * float(namespace(mean).linalg.vector_norm(mean)):
        raise UndefinedIndexError(
            status="constant",
            where=index,
            expected=f"a {side} that varies from row to row",
            found=f"{n} equal rows",
            remedy="Leave this layer out, or look for dead units.",
        )
    return spread


def variation_of(pair: PairMoments, index: str) -> tuple[float, float]:
    """Return ‖X̃‖_F and ‖Ỹ‖_F of a pair, refusing a constant side as `variation` does."""
    return variation(pair.x, index=index, side="source"), variation(pair.y, index=index, side="target")


def directions_of(pair: PairMoments, *, storage_eps: StorageEps, index: str) -> tuple[Spectrum, Spectrum]:
    """Return the directions of both sides above the noise of storage, refusing a side that has none.

    Raises
    ------
    UndefinedIndexError
        ``constant`` or ``too_few_rows``, as `variation`; ``constant`` also for variation below the noise.
    """
    variation_of(pair, index)
    eps_x, eps_y = by_side(storage_eps)
    x, y = pair.x.retained(eps_x), pair.y.retained(eps_y)
    if not (x.rank and y.rank):
        raise UndefinedIndexError(
            status="constant",
            where=index,
            expected="variation above the precision it was stored with on both sides",
            found=f"ranks {x.rank} and {y.rank} at storage precisions {eps_x:.1e} and {eps_y:.1e}",
            remedy="Store the layer in a wider dtype, or leave it out.",
        )
    return x, y


def within(value: float, low: float, high: float, *, index: str) -> float:
    """Return `value` cut to the range that Cauchy–Schwarz gives, if only rounding can have left it.

    Raises
    ------
    MomentsError
        It is outside by more than 1e-6: the moments do not belong together.
    """
    if not low - 1e-6 <= value <= high + 1e-6:
        raise MomentsError(
            where=index,
            expected=f"a value in [{low:g}, {high:g}]",
            found=repr(value),
            remedy="Own and cross moments come from different rows, or lost their precision: recompute them.",
        )
    return min(max(value, low), high)
