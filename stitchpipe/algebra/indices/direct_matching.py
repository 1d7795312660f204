"""How well least-squares maps of each family do on other rows: R², and the structural error."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.maps import FAMILIES, Family
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import PairBatch


def _r2(analysis: Analysis, measure: Measure) -> IndexValue:
    fitted, residual = analysis.scored(*_map_of(measure))
    return IndexValue(fitted.r2_from_moments(analysis.pair, residual), fitted.rank, fitted.condition)


def _struct(analysis: Analysis, measure: Measure) -> IndexValue:
    fitted, residual = analysis.scored(*_map_of(measure))
    return IndexValue(
        fitted.struct_error_from_moments(analysis.pair, residual), fitted.rank, fitted.condition
    )


def _r2_of_batch(batch: PairBatch, measure: Measure) -> BatchValues | None:
    maps = batch.scored(*_map_of(measure))
    if maps is None:
        return None
    # A target that does not vary has a scale of infinity, and its R² is for the formula of one pair to refuse.
    r2 = 1.0 - maps.residuals / batch.y.scale[batch.iy] ** 2
    return BatchValues(np.where(batch.y.varies[batch.iy], r2, np.nan), maps.rank, maps.condition)


def _struct_of_batch(batch: PairBatch, measure: Measure) -> BatchValues | None:
    maps = batch.scored(*_map_of(measure))
    if maps is None:
        return None
    squares = (batch.y.total + batch.n * np.vecdot(batch.y.mean, batch.y.mean))[batch.iy]
    known = squares > 0.0
    return BatchValues(
        np.where(known, maps.residuals / np.where(known, squares, 1.0), np.nan), maps.rank, maps.condition
    )


def _map_of(measure: Measure) -> tuple[str, float | None]:
    """Return the family that a measure scores a map of, and the parameter."""
    return measure.family or "affine", measure.parameter.value if measure.parameter else None


def _held_out(family: Family) -> tuple[Index, Index]:
    """Return both held-out indices of one family of maps."""
    prefix = "dm" if family.name == "affine" else f"dm_{family.name}"
    r2 = Measure(
        name=f"{prefix}_r2",
        label=f"{family.label}, R²",
        meaning=f"Share of the target's variance that {family.map_is} explains on held-out images. Below 0 where the "
        "map does worse than the mean.",
        kind="index",
        computed_from="moments",
        range=(-inf, 1.0),
        larger_is_more_similar=True,
        source_invariances=family.source_invariances,
        target_invariances=ISOTROPIC,
        interval="population",
        parameter=family.parameter,
        family=family.name,
        cost=family.cost,
        literature=family.literature,
    )
    struct = replace(
        r2,
        name=f"{prefix}_struct",
        label=f"{family.label}, structural error",
        meaning=f"Squared error on held-out images of {family.map_is}, over the target's squared norm. Comparable "
        "between sources of one target, not between targets.",
        range=(0.0, inf),
        larger_is_more_similar=False,
        target_invariances=frozenset({"scaling", "permutation", "rotation"}),
    )
    return (
        Index(r2, of_moments=_r2, of_batch=_r2_of_batch),
        Index(struct, of_moments=_struct, of_batch=_struct_of_batch),
    )


DIRECT_MATCHING = tuple(index for family in FAMILIES.values() for index in _held_out(family))
"""R² and the structural error of a map of each family."""
