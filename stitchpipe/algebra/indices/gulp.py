"""GULP: how differently two representations can predict."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.batches.nuclear_norms import penalised_squares
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


def gulp(X: Array, Y: Array, *, ridge: float = RIDGE, products: Products = "float64") -> float:
    """Return the GULP distance d_λ ≥ 0 of ``X [n, p]``, ``Y [n, q]``.

    Both sides are centred and scaled to mean squared row norm 1; with Σ their covariances (sums over n) and
    Σ^-λ = (Σ + λI)⁻¹,

        d_λ² = tr(Σₓ^-λ Σₓ Σₓ^-λ Σₓ) + tr(Σ_y^-λ Σ_y Σ_y^-λ Σ_y) − 2·tr(Σₓ^-λ Σₓᵧ Σ_y^-λ Σₓᵧᵀ):

    the largest mean squared difference between the predictions of two ridge regressions, one from either side,
    over all targets of unit second moment. A metric of shapes; 0 exactly for rotations of one another.

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y.
    ridge
        λ > 0, in units of the total variance. Towards 0 the distance becomes that of CCA, p + q − 2Σρ² with p
        and q the ranks, towards infinity λ·d tends to that of linear CKA. The default mutes directions with less
        than 1 % of the variance; the authors embed networks with it (their figure 1).
    products
        As of `cka`.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(n·(p + q)²), memory O(n·(p + q) + p² + q²). The error of d² is a few eps·d(λ)/λ, with d(λ) the effective
    dimension; near 0 the root turns it into about 1e-8. The plug-in estimator: biased upwards for p near n.
    Boix-Adserà, Lawrence, Stepaniants and Rigollet 2022 (arXiv 2210.06545), whose code returns d_λ².
    """
    pair, eps = rotated_moments(X, Y, products=products), (stored_spacing(X), stored_spacing(Y))
    return gulp_of(penalised_cross(pair, ridge=ridge, storage_eps=eps, index="gulp"))


def gulp_of(cross: PenalisedCross) -> float:
    """Return the distance from both penalised sides. Time O(p·q)."""
    xp = namespace(cross.values)
    # In its own directions a side's Σ^-λΣ is diagonal with the shares F, so the first two traces are ΣF².
    # The third is ‖C‖²_F of the whitened cross-products.
    own = float(xp.sum(cross.x.shares**2)) + float(xp.sum(cross.y.shares**2))
    square = own - 2.0 * float(xp.sum(cross.values**2))
    return sqrt(within(square, 0.0, inf, index="gulp"))


def _ridge(measure: Measure) -> float:
    return measure.parameter.value if measure.parameter else RIDGE


def _of_moments(analysis: Analysis, measure: Measure) -> IndexValue:
    cross = analysis.penalised(_ridge(measure))
    return IndexValue(gulp_of(cross), cross.rank, cross.condition)


def _of_batch(batch: PairBatch, measure: Measure) -> BatchValues:
    x, y = batch.x.penalised(_ridge(measure)), batch.y.penalised(_ridge(measure))
    # As in `gulp_of`, with the first two traces of each layer.
    own_x, own_y = (np.vecdot(side.shares, side.shares) for side in (x, y))
    squares = own_x[batch.ix] + own_y[batch.iy] - 2.0 * penalised_squares(batch, _ridge(measure))
    rank, condition = x.between(y, batch.ix, batch.iy)
    return BatchValues(np.sqrt(vouched(squares, batch.sound, 0.0, inf)), rank, condition)


GULP = Index(
    Measure(
        name="gulp",
        label="GULP",
        meaning="How far apart the predictions of ridge regressions from either side can be, over all tasks of unit "
        "size. Grows with the number of directions above λ.",
        kind="index",
        computed_from="moments",
        range=(0.0, inf),
        larger_is_more_similar=False,
        symmetric=True,
        metric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        whitens=True,
        interval="population",
        parameter=ridge_parameter("each side"),
        cost="O(p·q·(p + q)), and O(p³) once per side",
        literature="Boix-Adserà et al. 2022",
    ),
    of_moments=_of_moments,
    of_batch=_of_batch,
)
