"""Intrinsic dimension from the two nearest neighbours of every image."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.layer_measure import LayerContents, LayerMeasure, LayerValue, rows_of
from stitchpipe.measures import Measure

if TYPE_CHECKING:
    import numpy.typing as npt

    Float64 = npt.NDArray[np.float64]

BLOCK_BYTES: Final = 64 * 2**20
"""What the distances of a block of points to all others may take."""
CANDIDATES: Final = 4
"""The nearest by a product, which loses digits of small distances: that of so many is formed again, of differences."""


def two_nn(points: Float64) -> tuple[float, int, int]:
    """Return the dimension N/Σ ln(r₂/r₁) of ``points [n, p]``, N, and how many points were left out.

    r₁ and r₂ are the distances of a point to its nearest and its second nearest. A point that another one coincides
    with has r₁ = 0, and no ratio: it is left out.

    Raises
    ------
    UndefinedIndexError
        ``too_few_rows``: fewer than three points, or fewer than two with a ratio; ``degenerate``: all ratios are 1.

    Notes
    -----
    Time O(n²·p), memory O(n·p) and a block of distances. The maximum-likelihood form of Facco et al. 2017, whose
    standard error is about d/√N. Far above dimension 10 it is too small, for any number of images at hand.
    """
    n = len(points)
    if n < 3:
        raise _too_few(f"{n} points", "at least 3 points")
    near, far = np.empty(n), np.empty(n)
    centred = points - points.mean(axis=0)
    squares = np.vecdot(centred, centred)
    step = max(1, BLOCK_BYTES // (8 * n))
    for start in range(0, n, step):
        block = slice(start, min(start + step, n))
        near[block], far[block] = _two_nearest(centred, squares, block)
    known = near > 0.0
    count = int(np.count_nonzero(known))
    if count < 2:
        raise _too_few(f"{count} of {n}", "at least 2 points that no other coincides with")
    total = float(np.log(far[known] / near[known]).sum())
    if total <= 0.0:
        raise UndefinedIndexError(
            status="degenerate",
            where="two_nn",
            expected="points whose nearest neighbour is nearer than the second",
            found=f"{count} points that have two at the same distance",
            remedy="Look for values that are rounded or saturated.",
        )
    return count / total, count, n - count


def _two_nearest(points: Float64, squares: Float64, block: slice) -> tuple[Float64, Float64]:
    """Return the distances of some points to their nearest and second nearest other."""
    own = np.arange(block.start, block.stop)
    distances = squares[None, :] - 2.0 * (points[block] @ points.T)
    distances[own - block.start, own] = inf
    most = min(CANDIDATES, len(points) - 1)
    nearest = np.argpartition(distances, most - 1, axis=1)[:, :most]
    exact = np.empty(nearest.shape)
    for place in range(most):
        exact[:, place] = np.linalg.vector_norm(points[nearest[:, place]] - points[block], axis=1)
    exact.sort(axis=1)
    return exact[:, 0], exact[:, 1]


def _too_few(found: str, expected: str) -> UndefinedIndexError:
    return UndefinedIndexError(
        status="too_few_rows", where="two_nn", expected=expected, found=found, remedy="Use more images."
    )


def _of_layer(contents: LayerContents, measure: Measure) -> LayerValue:
    dimension, count, left_out = two_nn(rows_of(contents, measure.name))
    remark = f"left out, because another image has the same values: {left_out} images" if left_out else None
    return LayerValue(dimension, dimension / sqrt(count), remark)


TWO_NN = LayerMeasure(
    Measure(
        name="two_nn",
        label="Intrinsic dimension, TwoNN",
        meaning="The dimension in which the ratio of the distances to the second and the first neighbour of an image "
        "would be as large as it is. Images with the same values are left out, with a remark.",
        kind="layer",
        computed_from="images",
        range=(0.0, inf),
        larger_is_more_similar=None,
        unit="dimensions",
        independent_rows=True,
        cost="O(n²·p)",
        literature="Facco et al. 2017",
    ),
    _of_layer,
)
