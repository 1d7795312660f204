"""How a batch is cut so that its temporaries stay small, and how pairs of like ranks are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]

SLICE_BYTES: Final = 8 * 2**20
"""What all temporary stacks of a slice of pairs may take, where one pair does not take more."""
_STACKS = 18  # of p×q alive at once, every index of the product wanted in both directions: 11 to 16 were seen
STEP: Final = 8
"""Ranks are rounded up to multiples of this where zeros beside a matrix leave its singular values as they are."""


def pairs_at_once(p: int, q: int) -> int:
    """Return how many pairs of widths p and q are worked together: at least 1."""
    return max(1, SLICE_BYTES // (8 * _STACKS * max(p, q) ** 2))


def working_bytes(p: int, q: int) -> int:
    """Return what `evaluate` and `evaluate_both` hold at most beside a batch, the caches of its layers and the result.

    For widths p and q: the temporaries of one slice of pairs, or of one layer's decomposition.
    """
    return max(SLICE_BYTES, 8 * _STACKS * max(p, q) ** 2)


def slices(count: int, p: int, q: int) -> Iterator[slice]:
    """Cut `count` pairs into slices that are worked one after the other."""
    step = pairs_at_once(p, q)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def grouped(
    ranks_x: Integers, ranks_y: Integers, among: Flags, *, step: int
) -> Iterator[tuple[Integers, int, int]]:
    """Yield pairs whose ranks are equal once rounded up to multiples of `step`, and the two rounded ranks.

    A pair's group depends on its own ranks alone, so that no neighbour enters its numbers: neither through padding nor
    through the size of a matrix.

    Parameters
    ----------
    ranks_x, ranks_y
        ``[B]``.
    among
        ``[B]``: the pairs to group. The others are left out.
    """
    rows = np.flatnonzero(among)
    if not rows.size:
        return
    bucket_x, bucket_y = (-(-ranks[rows] // step) * step for ranks in (ranks_x, ranks_y))
    keys = bucket_x * (int(bucket_y.max()) + 1) + bucket_y
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    for group in np.split(order, edges):
        yield rows[group], int(bucket_x[group[0]]), int(bucket_y[group[0]])


def inner(a: Floats, b: Floats) -> Floats:
    """Return the sum of the products of two stacks ``[B, …]``, pair by pair: ``[B]``."""
    return np.asarray(np.vecdot(a.reshape(len(a), -1), b.reshape(len(b), -1)))
