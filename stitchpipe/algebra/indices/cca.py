"""Canonical correlation analysis: the mean canonical correlation, and the mean of their squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.canonical import correlations_of_rows
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.measures import LINEAR, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.algebra.inputs import Array, Products


def cca(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the mean canonical correlation ρ̄ ∈ [0, 1] of ``X [n, p]``, ``Y [n, q]``.

    The mean is over min(rank X, rank Y) correlations, not over min(p, q): dead and duplicate neurons do not
    count, judged at the precision of the arrays' dtype. Computed in-sample: for
    independent noise the mean of ρ² is max(p, q)/(n − 1), not 0. `products` is as of `cka`: in float32 the error is
    about 1e-8·cond², too much for layers whose condition is in the thousands.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` (rank X + rank Y > n − 1).

    Notes
    -----
    Time O(n·(p + q)²), memory O(n·(p + q) + p² + q²); error about eps·cond². Hotelling 1936; Kornblith et
    al. 2019 (R̄_CCA).
    """
    return correlations_of_rows(X, Y, index="cca", products=products).mean


def cca_sq(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the mean squared canonical correlation ∈ [0, 1]; as `cca` otherwise (Kornblith's R²_CCA)."""
    return correlations_of_rows(X, Y, index="cca_sq", products=products).mean_square


def _mean(analysis: Analysis, _: Measure) -> IndexValue:
    correlations = analysis.correlations()
    return IndexValue(correlations.mean, correlations.rank, correlations.condition)


def _mean_square(analysis: Analysis, _: Measure) -> IndexValue:
    correlations = analysis.correlations()
    return IndexValue(correlations.mean_square, correlations.rank, correlations.condition)


def _means(batch: PairBatch, _: Measure) -> BatchValues:
    correlations = batch.correlations()
    return BatchValues(correlations.mean, correlations.rank, correlations.condition)


def _mean_squares(batch: PairBatch, _: Measure) -> BatchValues:
    correlations = batch.correlations()
    return BatchValues(correlations.mean_square, correlations.rank, correlations.condition)


CCA = Index(
    Measure(
        name="cca",
        label="Mean CCA",
        meaning="Mean of the canonical correlations: the best correlations of linear combinations of either side. "
        "In-sample, so it rises with features per row.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=LINEAR,
        target_invariances=LINEAR,
        # A sum of singular values is not smooth where these are near 0: the jackknife cannot correct its bias.
        whitens=True,
        interval="sample",
        cost="O(p·q·min(p, q)), and O(p³) once per side",
        literature="Hotelling 1936; Kornblith et al. 2019",
    ),
    of_moments=_mean,
    of_batch=_means,
)

CCA_SQ = Index(
    Measure(
        name="cca_sq",
        label="Mean squared CCA",
        meaning="Mean of the squared canonical correlations.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=LINEAR,
        target_invariances=LINEAR,
        null="permuted_images",
        whitens=True,
        interval="population",
        cost="O(p·q·min(p, q)), and O(p³) once per side",
        literature="Hotelling 1936; Kornblith et al. 2019",
    ),
    of_moments=_mean_square,
    of_batch=_mean_squares,
    linear_null="cca_sq",
)
