"""Orthogonal Procrustes: how far apart two shapes are after the best rotation, squared or as an angle."""

from __future__ import annotations

from math import acos, pi
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.nuclear import nuclear_cosine, nuclear_cosine_of_rows
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.algebra.inputs import Array, Products
    from stitchpipe.algebra.moments import PairMoments


def procrustes(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the squared Procrustes distance 2 − 2‖X̃ᵀỸ‖_* ∈ [0, 2] of ``X [n, p]``, ``Y [n, q]``.

    Both sides are centred and scaled to Frobenius norm 1 first; ‖·‖_* is the sum of singular values. Where
    p ≠ q the narrower side is understood as padded with zero columns. Not a metric: its square root, and
    `procrustes_angle`, are. `products` is as of `cka`.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(n·p·q + p·q·min(p, q)), memory O(n·(p + q)). Absolute error a few eps·min(p, q), whatever the
    conditioning. Independent noise is not at 2: .85 for n = 1000, p = q = 512. Schönemann 1966; Ding et al.
    2021; Williams et al. 2021.
    """
    return squared_distance(nuclear_cosine_of_rows(X, Y, index="procrustes", products=products))


def procrustes_angle(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the angular Procrustes distance arccos ‖X̃ᵀỸ‖_* ∈ [0, π/2], in radians; a metric of shapes.

    As `procrustes` otherwise; near 0 the arccosine turns a rounding error δ into √(2δ), about 1e-8.
    Williams et al. 2021.
    """
    return acos(nuclear_cosine_of_rows(X, Y, index="procrustes_angle", products=products))


def procrustes_from_moments(pair: PairMoments) -> float:
    """Return the squared distance from moments, as `procrustes`. Time O(p·q·min(p, q))."""
    return squared_distance(nuclear_cosine(pair, index="procrustes"))


def procrustes_angle_from_moments(pair: PairMoments) -> float:
    """Return the angle from moments, as `procrustes_angle`. Time O(p·q·min(p, q))."""
    return acos(nuclear_cosine(pair, index="procrustes_angle"))


def squared_distance(cosine: float) -> float:
    """Return the squared distance 2 − 2c of two shapes of norm 1 from their cosine c (`nuclear_cosine`)."""
    # For shapes of norm 1, ‖X̃R − Ỹ‖² is 1 + 1 − 2·tr(RᵀX̃ᵀỸ), and the best rotation makes the trace c.
    return 2.0 - 2.0 * cosine


def _squared(analysis: Analysis, _: Measure) -> IndexValue:
    return IndexValue(squared_distance(analysis.nuclear_cosine))


def _angle(analysis: Analysis, _: Measure) -> IndexValue:
    return IndexValue(acos(analysis.nuclear_cosine))


def _squares(batch: PairBatch, _: Measure) -> BatchValues:
    return BatchValues(2.0 - 2.0 * batch.cosines)


def _angles(batch: PairBatch, _: Measure) -> BatchValues:
    return BatchValues(np.arccos(batch.cosines))


PROCRUSTES = Index(
    Measure(
        name="procrustes",
        label="Procrustes, squared",
        meaning="Squared distance left after the best rotation, both sides centred and scaled to norm 1.",
        kind="index",
        computed_from="moments",
        range=(0.0, 2.0),
        larger_is_more_similar=False,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        # A sum of singular values is not smooth where these are near 0: the jackknife cannot correct its bias.
        interval="sample",
        cost="O(p·q·min(p, q))",
        literature="Schönemann 1966; Ding et al. 2021; Williams et al. 2021",
    ),
    of_moments=_squared,
    of_batch=_squares,
)

PROCRUSTES_ANGLE = Index(
    Measure(
        name="procrustes_angle",
        label="Procrustes, angle",
        unit="rad",
        meaning="The angle of the best rotation's fit: arccos of the nuclear norm of the cross-product.",
        kind="index",
        computed_from="moments",
        range=(0.0, pi / 2),
        larger_is_more_similar=False,
        symmetric=True,
        metric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        interval="sample",
        cost="O(p·q·min(p, q))",
        literature="Schönemann 1966; Ding et al. 2021; Williams et al. 2021",
    ),
    of_moments=_angle,
    of_batch=_angles,
)
