"""Ridge CCA: canonical correlations under a penalty that mutes directions of little variance."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.batches.values import vouched
from stitchpipe.algebra.guards import within
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.inputs import Array, Products, namespace, stored_spacing
from stitchpipe.algebra.moments import rotated_moments
from stitchpipe.algebra.penalty import RIDGE, PenalisedCross, penalised_cross, ridge_parameter
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch


def ridge_cca(X: Array, Y: Array, *, ridge: float = RIDGE, products: Products = "float64") -> float:
    """Return penalised canonical correlations, summed, over the effective dimensions; in [0, 1], 1 for X = Y.

    With both sides centred, scaled to mean squared row norm 1 and whitened by (Σ + λI)^-½ instead of Σ^-½, it is
    Σᵢρᵢ/√(d_x·d_y): ρ the singular values of what is left of Σₓᵧ, d(λ) = Σⱼ λⱼ/(λⱼ + λ) a side's effective
    dimension, its number of directions well above λ. Where λ is far below all of them this is mean CCA times
    √(min/max) of the two ranks.

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y.
    ridge
        λ > 0, in units of the total variance of each side.
    products
        As of `cka`.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row; not for n ≤ p + q, unlike `cca`.

    Notes
    -----
    Time O(n·(p + q)²), memory O(n·(p + q) + p² + q²); error about eps/λ at most. The penalty after Vinod (1976,
    canonical ridge); the normalisation is the cosine of Williams et al. (2021) between whitened shapes.
    """
    pair, eps = rotated_moments(X, Y, products=products), (stored_spacing(X), stored_spacing(Y))
    return ridge_cca_of(penalised_cross(pair, ridge=ridge, storage_eps=eps, index="ridge_cca"))


def ridge_cca_of(cross: PenalisedCross) -> float:
    """Return ridge CCA from both penalised sides. Time O(p·q·min(p, q))."""
    xp = namespace(cross.values)
    total = float(xp.sum(xp.linalg.svdvals(cross.values)))
    # The sum of shares is the effective dimension d(λ) of a side.
    dimensions = float(xp.sum(cross.x.shares)) * float(xp.sum(cross.y.shares))
    return within(total / sqrt(dimensions), 0.0, 1.0, index="ridge_cca")


def _ridge(measure: Measure) -> float:
    return measure.parameter.value if measure.parameter else RIDGE


def _of_moments(analysis: Analysis, measure: Measure) -> IndexValue:
    cross = analysis.penalised(_ridge(measure))
    return IndexValue(ridge_cca_of(cross), cross.rank, cross.condition)


def _of_batch(batch: PairBatch, measure: Measure) -> BatchValues:
    x, y = batch.x.penalised(_ridge(measure)), batch.y.penalised(_ridge(measure))
    dimensions = x.shares.sum(axis=-1)[batch.ix] * y.shares.sum(axis=-1)[batch.iy]
    # A pair that is not sound may have no dimensions at all; it is not vouched for.
    values = batch.penalised_norms(_ridge(measure)) / np.sqrt(np.where(batch.sound, dimensions, 1.0))
    rank, condition = x.between(y, batch.ix, batch.iy)
    return BatchValues(vouched(values, batch.sound, 0.0, 1.0), rank, condition)


RIDGE_CCA = Index(
    Measure(
        name="ridge_cca",
        label="Ridge CCA",
        meaning="Canonical correlations under a penalty that mutes directions of little variance, summed, over the "
        "geometric mean of the effective dimensions. Defined where CCA is not, and 1 for a layer with itself.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        # A sum of singular values, as `cca`: about a corrected value its limits held the population's in 2.5 %.
        interval="sample",
        parameter=ridge_parameter("each side"),
        cost="O(p·q·min(p, q)), and O(p³) once per side",
        literature="Vinod 1976; Williams et al. 2021",
    ),
    of_moments=_of_moments,
    of_batch=_of_batch,
)
