"""Orthogonal Procrustes: how far apart two shapes are after the best rotation."""

from __future__ import annotations

from math import acos
from typing import TYPE_CHECKING

from stitchpipe.algebra.guards import variation_of, within
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.wide import rotated_moments

if TYPE_CHECKING:
    from stitchpipe.algebra.summaries import PairMoments


def procrustes(X: Array, Y: Array) -> float:
    """Return the squared Procrustes distance 2 − 2‖X̃ᵀỸ‖_* ∈ [0, 2] of ``X [n, p]``, ``Y [n, q]``.

    Both sides are centred and scaled to Frobenius norm 1 first; ‖·‖_* is the sum of singular values. Where
    p ≠ q the narrower side is understood as padded with zero columns. Not a metric: its square root, and
    `procrustes_angle`, are.

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
    return procrustes_from_moments(rotated_moments(X, Y))


def procrustes_angle(X: Array, Y: Array) -> float:
    """Return the angular Procrustes distance arccos ‖X̃ᵀỸ‖_* ∈ [0, π/2], in radians; a metric of shapes.

    As `procrustes` otherwise; near 0 the arccosine turns a rounding error δ into √(2δ), about 1e-8.
    Williams et al. 2021.
    """
    return procrustes_angle_from_moments(rotated_moments(X, Y))


def nbs(X: Array, Y: Array) -> float:
    """Return the normalised Bures similarity ‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F) ∈ [0, 1] of ``X [n, p]``, ``Y [n, q]``.

    The cosine of `procrustes_angle` and 1 − `procrustes`/2: another scale of the same distance. As `procrustes`
    otherwise. Tang et al. 2020; Harvey et al. 2024 (duality with shape distances).
    """
    return nuclear_cosine(rotated_moments(X, Y), index="nbs")


def procrustes_from_moments(pair: PairMoments) -> float:
    """Return the squared distance from moments, as `procrustes`. Time O(p·q·min(p, q))."""
    return squared_distance(nuclear_cosine(pair, index="procrustes"))


def procrustes_angle_from_moments(pair: PairMoments) -> float:
    """Return the angle from moments, as `procrustes_angle`. Time O(p·q·min(p, q))."""
    return acos(nuclear_cosine(pair, index="procrustes_angle"))


def squared_distance(cosine: float) -> float:
    """Return the squared distance 2 − 2c of two shapes of norm 1 from their cosine c (`nuclear_cosine`)."""
    return 2.0 - 2.0 * cosine


def nuclear_cosine(pair: PairMoments, *, index: str = "procrustes") -> float:
    """Return c = ‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F) ∈ [0, 1], on which every Procrustes index rests.

    Time O(p·q·min(p, q)). Raises UndefinedIndexError as `procrustes`; MomentsError where c is not in [0, 1].
    """
    scale_x, scale_y = variation_of(pair, index)
    xp = namespace(pair.xy)
    nuclear = float(xp.sum(xp.linalg.svdvals(pair.xy / scale_x / scale_y)))
    return within(nuclear, 0.0, 1.0, index=index)
