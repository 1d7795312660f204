"""SVCCA: canonical correlations of the leading principal directions of either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.canonical import correlations_of_rows
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.measures import ISOTROPIC, Measure, Parameter

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.algebra.inputs import Array, Products

SVCCA_VARIANCE = 0.99
"""The share of variance that SVCCA keeps on each side (Raghu et al. 2017)."""


def svcca(X: Array, Y: Array, *, variance: float = SVCCA_VARIANCE, products: Products = "float64") -> float:
    """Return the mean canonical correlation of the leading directions that hold 99 % of each side's variance.

    As `cca` otherwise; `variance` is the share kept, in (0, 1]. Raghu et al. 2017.
    """
    return correlations_of_rows(X, Y, index="svcca", variance=variance, products=products).mean


def _share(measure: Measure) -> float:
    """Return the share of variance, which is part of the measure: one analysis can serve SVCCA at several."""
    return measure.parameter.value if measure.parameter else SVCCA_VARIANCE


def _mean_of_leading(analysis: Analysis, measure: Measure) -> IndexValue:
    correlations = analysis.correlations(_share(measure))
    return IndexValue(correlations.mean, correlations.rank, correlations.condition)


def _means_of_leading(batch: PairBatch, measure: Measure) -> BatchValues:
    correlations = batch.correlations(_share(measure))
    return BatchValues(correlations.mean, correlations.rank, correlations.condition)


SVCCA = Index(
    Measure(
        name="svcca",
        label="SVCCA",
        meaning="Mean canonical correlation after each side is reduced to the fewest principal directions that hold "
        "the given share of its variance.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        whitens=True,
        interval="sample",  # as `cca`
        parameter=Parameter(
            symbol="v",
            meaning="the share of variance kept on each side",
            value=SVCCA_VARIANCE,
            largest=1.0,
            label="{:g} of the variance",
        ),
        cost="O(p·q·min(p, q)), and O(p³) once per side",
        literature="Raghu et al. 2017",
    ),
    of_moments=_mean_of_leading,
    of_batch=_means_of_leading,
)
