"""Normalised Bures similarity: the cosine of the Procrustes angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.nuclear import nuclear_cosine_of_rows
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.algebra.inputs import Array, Products


def nbs(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the normalised Bures similarity ‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F) ∈ [0, 1] of ``X [n, p]``, ``Y [n, q]``.

    The cosine of `procrustes_angle` and 1 − `procrustes`/2: another scale of the same distance. As `procrustes`
    otherwise. Tang et al. 2020; Harvey et al. 2024 (duality with shape distances).
    """
    return nuclear_cosine_of_rows(X, Y, index="nbs", products=products)


def _cosine(analysis: Analysis, _: Measure) -> IndexValue:
    return IndexValue(analysis.nuclear_cosine)


def _cosines(batch: PairBatch, _: Measure) -> BatchValues:
    return BatchValues(batch.cosines)


NBS = Index(
    Measure(
        name="nbs",
        label="Normalised Bures similarity",
        meaning="The cosine of procrustes_angle, 1 − procrustes/2: another scale of the same distance.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        interval="sample",  # as `procrustes`
        equals="1 − procrustes/2",
        cost="O(p·q·min(p, q))",
        literature="Tang et al. 2020; Harvey et al. 2024",
    ),
    of_moments=_cosine,
    of_batch=_cosines,
)
