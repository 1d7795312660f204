"""Descriptions of the held-out indices: R² and the structural error of a map of each family."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from stitchpipe.algebra.map_families import RANK
from stitchpipe.algebra.penalty import ridge_parameter
from stitchpipe.measures import ISOTROPIC, LINEAR, Measure, Parameter, Transformation


def _matching(
    family: str,
    label: str,
    source: frozenset[Transformation],
    *,
    map_is: str,
    cost: str,
    literature: str,
    parameter: Parameter | None = None,
) -> tuple[Measure, Measure]:
    """Describe both held-out figures of one family of maps."""
    prefix = "dm" if family == "affine" else f"dm_{family}"
    r2 = Measure(
        kind="index",
        computed_from="moments",
        interval="population",
        name=f"{prefix}_r2",
        label=f"{label}, R²",
        meaning=f"Share of the target's variance that {map_is} explains on held-out images. Below 0 where the map "
        "does worse than the mean.",
        symmetric=False,
        metric=False,
        larger_is_more_similar=True,
        range=(-inf, 1.0),
        source_invariances=source,
        target_invariances=ISOTROPIC,
        cost=cost,
        literature=literature,
        family=family,
        parameter=parameter,
    )
    struct = replace(
        r2,
        name=f"{prefix}_struct",
        label=f"{label}, structural error",
        meaning=f"Squared error on held-out images of {map_is}, over the target's squared norm. Comparable between "
        "sources of one target, not between targets.",
        larger_is_more_similar=False,
        range=(0.0, inf),
        target_invariances=frozenset({"scaling", "rotation"}),
    )
    return r2, struct


MAP_INDICES = (
    *_matching(
        "affine",
        "Direct matching",
        LINEAR,
        map_is="the affine least-squares map from the source",
        cost="O(p²·q), and O(p³) once per source",
        literature="Balogh and Jelasity 2025",
    ),
    *_matching(
        "ridge",
        "Ridge matching",
        ISOTROPIC,
        map_is="the affine map from the source fitted with a ridge penalty",
        cost="O(p²·q), and O(p³) once per source",
        literature="Hoerl and Kennard 1970",
        parameter=ridge_parameter("the source"),
    ),
    *_matching(
        "orthogonal",
        "Orthogonal matching",
        ISOTROPIC,
        map_is="the Procrustes rotation of the source (a partial isometry where widths differ), scaled and shifted,",
        cost="O(p·q·(p + q)), and O(p³) once per side",
        literature="Schönemann 1966; Schönemann and Carroll 1970",
    ),
    *_matching(
        "low_rank",
        "Low-rank matching",
        LINEAR,
        map_is="the best affine map of at most the given rank from the source",
        cost="O(p·q·(p + q)), and O(p³) once per source",
        literature="Izenman 1975",
        parameter=RANK,
    ),
)
