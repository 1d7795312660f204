"""The third moment of an inner product of two matrices over images, when the images of one are permuted.

A product of three entries of a matrix names six images, some of which may be the same. Under a random order of the
images only this counts: which of the six are the same. So the mean of ⟨A, PᵀBP⟩³ is a sum over the ways in which six
places can share images, of what A has there times what B has there, over the number of choices of distinct images.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import factorial, perm, prod
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Blocks: TypeAlias = tuple[int, ...]
"""Of each of six places, the number of the image that it has: places of equal number share one."""
Float64: TypeAlias = npt.NDArray[np.float64]

ENTRIES: Final = ((0, 1), (2, 3), (4, 5))
"""The places that the three factors name."""

SUMS: Final = ("loops", "loop_and_pair", "triple", "two_loops", "triangle")
"""Sums of products of three entries over all images that need not vanish where rows and the trace sum to zero:
Σ Aᵢᵢ³, Σ AᵢᵢAᵢⱼ², Σ Aᵢⱼ³, Σ AᵢᵢAᵢⱼAⱼⱼ, Σ AᵢⱼAⱼₖAₖᵢ."""


def third_moment(n: int, x: Float64, y: Float64) -> Float64:
    """Return the mean of ⟨A, PᵀBP⟩³ over all orders P of n images, from the `SUMS` of both matrices ``[..., 5]``.

    Both are symmetric, with rows that sum to zero and a trace of zero; the mean of the product itself is 0 then.

    Notes
    -----
    Exact. The weights are found once, by counting: 203 ways to share, and 2,471 pairs of one and a coarser one.
    """
    total = np.zeros(np.broadcast_shapes(x.shape[:-1], y.shape[:-1]))
    for images, weights in _weights().items():
        if images <= n:
            total = total + np.einsum("...i,ij,...j->...", x, weights, y) / perm(n, images)
    return total


@lru_cache
def _weights() -> dict[int, Float64]:
    """Return by the number of distinct images the weights of the `SUMS` of A times those of B."""
    weights = {images: np.zeros((len(SUMS), len(SUMS))) for images in range(1, 7)}
    for blocks in _partitions(6):
        distinct = _of_distinct_images(blocks)
        weights[max(blocks) + 1] += np.outer(distinct, distinct)
    return weights


def _of_distinct_images(blocks: Blocks) -> Float64:
    """Return a sum over images that are distinct where blocks are, as a combination of `SUMS`, by Möbius inversion.

    A sum over all images counts those in which some of the blocks coincide, too. What is left without them is
    Σ μ·(sum over all images with blocks merged), μ = Π (−1)^{b−1}(b − 1)! over what b blocks were merged into.
    """
    combination = np.zeros(len(SUMS))
    for merging in _partitions(max(blocks) + 1):
        sizes = Counter(merging).values()
        sign = prod((-1) ** (size - 1) * factorial(size - 1) for size in sizes)
        kind = _kind(tuple(merging[block] for block in blocks))
        if kind is not None:
            combination[SUMS.index(kind)] += sign
    return combination


def _kind(blocks: Blocks) -> str | None:
    """Return which of `SUMS` a sum over all images is; None where it vanishes."""
    edges = [(blocks[first], blocks[second]) for first, second in ENTRIES]
    degrees = Counter(blocks)
    loops = sum(first == second for first, second in edges)
    is_alone = any(
        first == second and degrees[first] == 2
        for first, second in edges  # both ends are its own
    )
    # An image that is named once leaves a sum over a row; a loop that meets no other entry leaves the trace.
    if min(degrees.values()) == 1 or (is_alone and len(degrees) > 1):
        return None
    return {
        (3, 1): "loops",
        (1, 2): "loop_and_pair",
        (0, 2): "triple",
        (2, 2): "two_loops",
        (0, 3): "triangle",
    }[loops, len(degrees)]


@lru_cache
def _partitions(places: int) -> tuple[Blocks, ...]:
    """Return all ways in which places can share images: numbers that begin at 0 and go up by one at most."""
    if not places:
        return ((),)
    before = _partitions(places - 1)
    return tuple((*blocks, block) for blocks in before for block in range(max(blocks, default=-1) + 2))
