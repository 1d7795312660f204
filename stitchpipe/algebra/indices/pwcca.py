"""Projection-weighted CCA: canonical correlations weighted by what they account for of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.batches.correlations import projection_weighted
from stitchpipe.algebra.canonical import correlations_of_rows
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.measures import LINEAR, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.algebra.inputs import Array, Products


def pwcca(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return projection-weighted CCA Σwᵢρᵢ ∈ [0, 1], a similarity; the weights come from X, the source.

    wᵢ ∝ Σⱼ|⟨zᵢ, x̃ⱼ⟩| over the neurons j of X, zᵢ the canonical variates of X, for the first min(rank X, rank
    Y) of them. Not symmetric, and not invariant to a rotation of X's neurons. As `cca` otherwise. Morcos et al. 2018,
    who report 1 − Σwᵢρᵢ.
    """
    return correlations_of_rows(X, Y, index="pwcca", products=products).projection_weighted


def _weighted_mean(analysis: Analysis, _: Measure) -> IndexValue:
    correlations = analysis.correlations()
    return IndexValue(correlations.projection_weighted, correlations.rank, correlations.condition)


def _weighted_means(batch: PairBatch, _: Measure) -> BatchValues:
    correlations = batch.correlations(rotated=True)
    return BatchValues(projection_weighted(batch), correlations.rank, correlations.condition)


PWCCA = Index(
    Measure(
        name="pwcca",
        label="PWCCA, weights of the source",
        meaning="Canonical correlations weighted by how much of the source each direction accounts for.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        source_invariances=frozenset({"translation", "scaling", "permutation"}),
        target_invariances=LINEAR,
        whitens=True,
        interval="sample",  # as `cca`
        cost="O(p·q·min(p, q)), and O(p³) once per side",
        literature="Morcos et al. 2018",
    ),
    of_moments=_weighted_mean,
    of_batch=_weighted_means,
)
