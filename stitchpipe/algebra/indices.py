"""The registry: every index by name, and what it is. `stitchpipe.algebra.analysis` has the values from moments."""

from __future__ import annotations

from math import inf, pi
from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.cca import SVCCA_VARIANCE
from stitchpipe.algebra.image_indices import IMAGE_INDICES
from stitchpipe.algebra.map_indices import MAP_INDICES
from stitchpipe.algebra.penalty import ridge_parameter
from stitchpipe.measures import ISOTROPIC, LINEAR, IntervalRule, Measure, Null, Parameter, Transformation

if TYPE_CHECKING:
    from collections.abc import Mapping

_CCA_COST = "O(p·q·min(p, q)), and O(p³) once per side"


def _similarity(  # noqa: PLR0913 - one argument per thing to know
    name: str,
    label: str,
    invariances: frozenset[Transformation],
    *,
    meaning: str,
    cost: str,
    literature: str,
    lowest: float = 0.0,
    independent_rows: bool = False,
    parameter: Parameter | None = None,
    equals: str | None = None,
    null: Null | None = None,
    interval: IntervalRule = "population",
) -> Measure:
    """Describe a symmetric similarity."""
    return Measure(
        kind="index",
        computed_from="moments",
        name=name,
        label=label,
        meaning=meaning,
        symmetric=True,
        metric=False,
        larger_is_more_similar=True,
        range=(lowest, 1.0),
        source_invariances=invariances,
        target_invariances=invariances,
        cost=cost,
        literature=literature,
        independent_rows=independent_rows,
        parameter=parameter,
        equals=equals,
        null=null,
        interval=interval,
    )


def _distance(  # noqa: PLR0913 - one argument per thing to know
    name: str,
    label: str,
    *,
    meaning: str,
    metric: bool,
    largest: float,
    cost: str,
    literature: str,
    parameter: Parameter | None = None,
    interval: IntervalRule = "population",
) -> Measure:
    """Describe a symmetric distance of shapes."""
    return Measure(
        kind="index",
        computed_from="moments",
        name=name,
        label=label,
        meaning=meaning,
        symmetric=True,
        metric=metric,
        larger_is_more_similar=False,
        range=(0.0, largest),
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        cost=cost,
        literature=literature,
        parameter=parameter,
        interval=interval,
    )


_ALIGNMENTS = (
    _similarity(
        "cka",
        "Linear CKA, debiased",
        ISOTROPIC,
        null="permuted_images",
        meaning="Alignment of the two Gram matrices, with the unbiased estimator of each term: independent "
        "representations score 0 on average however many features they have. Needs independent rows.",
        cost="O(p·q), and O(p²) once per side",
        literature="Kornblith et al. 2019; Song et al. 2012; Székely and Rizzo 2014",
        lowest=-1.0,
        independent_rows=True,
    ),
    _similarity(
        "cka_biased",
        "Linear CKA, biased",
        ISOTROPIC,
        null="permuted_images",
        meaning="Alignment of the two Gram matrices as they are. Rises with features per row even for independent "
        "representations: read it with n and p.",
        cost="O(p·q), and O(p²) once per side",
        literature="Kornblith et al. 2019",
    ),
    _similarity(
        "rv",
        "RV coefficient",
        ISOTROPIC,
        null="permuted_images",
        meaning="Another name of cka_biased: the same number.",
        cost="O(p·q), and O(p²) once per side",
        literature="Escoufier 1973; Robert and Escoufier 1976",
        equals="cka_biased",
    ),
)
_CORRELATIONS = (
    _similarity(
        "cca",
        "Mean CCA",
        LINEAR,
        interval="sample",
        meaning="Mean of the canonical correlations: the best correlations of linear combinations of either side. "
        "In-sample, so it rises with features per row.",
        cost=_CCA_COST,
        literature="Hotelling 1936; Kornblith et al. 2019",
    ),
    _similarity(
        "cca_sq",
        "Mean squared CCA",
        LINEAR,
        null="permuted_images",
        meaning="Mean of the squared canonical correlations.",
        cost=_CCA_COST,
        literature="Hotelling 1936; Kornblith et al. 2019",
    ),
    _similarity(
        "svcca",
        "SVCCA",
        ISOTROPIC,
        interval="sample",
        meaning="Mean canonical correlation after each side is reduced to the fewest principal directions that hold "
        "the given share of its variance.",
        cost=_CCA_COST,
        literature="Raghu et al. 2017",
        parameter=Parameter(
            symbol="v",
            meaning="the share of variance kept on each side",
            value=SVCCA_VARIANCE,
            largest=1.0,
            label="{:g} of the variance",
        ),
    ),
    Measure(
        kind="index",
        computed_from="moments",
        interval="sample",
        name="pwcca",
        label="PWCCA, weights of the source",
        meaning="Canonical correlations weighted by how much of the source each direction accounts for.",
        symmetric=False,
        metric=False,
        larger_is_more_similar=True,
        range=(0.0, 1.0),
        source_invariances=frozenset({"translation", "scaling"}),
        target_invariances=LINEAR,
        cost=_CCA_COST,
        literature="Morcos et al. 2018",
    ),
    _similarity(
        "ridge_cca",
        "Ridge CCA",
        ISOTROPIC,
        interval="sample",
        meaning="Canonical correlations under a penalty that mutes directions of little variance, summed, over the "
        "geometric mean of the effective dimensions. Defined where CCA is not, and 1 for a layer with itself.",
        cost=_CCA_COST,
        literature="Vinod 1976; Williams et al. 2021",
        parameter=ridge_parameter("each side"),
    ),
)
_SHAPE_COST = "O(p·q·min(p, q))"
_SHAPE_LITERATURE = "Schönemann 1966; Ding et al. 2021; Williams et al. 2021"
_SHAPES = (
    _distance(
        "procrustes",
        "Procrustes, squared",
        interval="sample",
        meaning="Squared distance left after the best rotation, both sides centred and scaled to norm 1.",
        metric=False,
        largest=2.0,
        cost=_SHAPE_COST,
        literature=_SHAPE_LITERATURE,
    ),
    _distance(
        "procrustes_angle",
        "Procrustes, angle",
        interval="sample",
        meaning="The angle of the best rotation's fit: arccos of the nuclear norm of the cross-product.",
        metric=True,
        largest=pi / 2,
        cost=_SHAPE_COST,
        literature=_SHAPE_LITERATURE,
    ),
    _similarity(
        "nbs",
        "Normalised Bures similarity",
        ISOTROPIC,
        interval="sample",
        meaning="The cosine of procrustes_angle, 1 − procrustes/2: another scale of the same distance.",
        cost=_SHAPE_COST,
        literature="Tang et al. 2020; Harvey et al. 2024",
        equals="1 − procrustes/2",
    ),
    _distance(
        "gulp",
        "GULP",
        meaning="How far apart the predictions of ridge regressions from either side can be, over all tasks of unit "
        "size. Grows with the number of directions above λ.",
        metric=True,
        largest=inf,
        cost="O(p·q·(p + q)), and O(p³) once per side",
        literature="Boix-Adserà et al. 2022",
        parameter=ridge_parameter("each side"),
    ),
)
INDICES: Mapping[str, Measure] = MappingProxyType(
    {index.name: index for index in (*_ALIGNMENTS, *_CORRELATIONS, *_SHAPES, *MAP_INDICES, *IMAGE_INDICES)}
)
"""Every index by its name in results, with the default of its parameter."""
