"""How well least-squares maps of each family do on other rows: R², and the structural error."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.maps import FAMILIES, Family
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis


def _r2(analysis: Analysis, measure: Measure) -> IndexValue:
    fitted, residual = analysis.scored(*_map_of(measure))
    return IndexValue(fitted.r2_from_moments(analysis.pair, residual), fitted.rank, fitted.condition)


def _struct(analysis: Analysis, measure: Measure) -> IndexValue:
    fitted, residual = analysis.scored(*_map_of(measure))
    return IndexValue(
        fitted.struct_error_from_moments(analysis.pair, residual), fitted.rank, fitted.condition
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
        target_invariances=frozenset({"scaling", "rotation"}),
    )
    return Index(r2, of_moments=_r2), Index(struct, of_moments=_struct)


DIRECT_MATCHING = tuple(index for family in FAMILIES.values() for index in _held_out(family))
"""R² and the structural error of a map of each family."""
