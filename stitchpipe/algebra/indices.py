"""The registry: every index by name, and what it is. `stitchpipe.algebra.analysis` has their values."""

from __future__ import annotations

from difflib import get_close_matches
from math import inf, pi
from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.description import Index, Transformation
from stitchpipe.algebra.errors import UnknownIndexError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ISOTROPIC: frozenset[Transformation] = frozenset({"translation", "scaling", "rotation"})
_LINEAR: frozenset[Transformation] = _ISOTROPIC | {"invertible"}


def _similarity(
    name: str,
    title: str,
    invariances: frozenset[Transformation],
    *,
    cost: str,
    literature: str,
    independent_rows: bool = False,
) -> Index:
    """Describe a symmetric similarity."""
    return Index(
        name=name,
        title=title,
        symmetric=True,
        metric=False,
        larger_is_more_similar=True,
        range=(-1.0 if independent_rows else 0.0, 1.0),
        source_invariances=invariances,
        target_invariances=invariances,
        independent_rows=independent_rows,
        held_out=False,
        cost=cost,
        literature=literature,
    )


def _distance(name: str, title: str, *, metric: bool, largest: float) -> Index:
    """Describe one of the Procrustes distances."""
    return Index(
        name=name,
        title=title,
        symmetric=True,
        metric=metric,
        larger_is_more_similar=False,
        range=(0.0, largest),
        source_invariances=_ISOTROPIC,
        target_invariances=_ISOTROPIC,
        independent_rows=False,
        held_out=False,
        cost="O(p·q·min(p, q))",
        literature="Schönemann 1966; Ding et al. 2021; Williams et al. 2021",
    )


def _matching(name: str, title: str, *, larger: bool, target: frozenset[Transformation]) -> Index:
    """Describe a held-out figure of direct matching."""
    return Index(
        name=name,
        title=title,
        symmetric=False,
        metric=False,
        larger_is_more_similar=larger,
        range=(-inf, 1.0) if larger else (0.0, inf),
        source_invariances=_LINEAR,
        target_invariances=target,
        independent_rows=False,
        held_out=True,
        cost="O(p³ + p²·q) to fit, O((p + q)³) to score",
        literature="Balogh and Jelasity 2025",
    )


_CCA_COST = "O(p³ + q³ + p·q·min(p, q))"

INDICES: Mapping[str, Index] = MappingProxyType(
    {
        index.name: index
        for index in (
            _similarity(
                "cka",
                "Linear CKA, debiased",
                _ISOTROPIC,
                cost="O(p² + p·q + q²)",
                literature="Kornblith et al. 2019; Song et al. 2012; Székely and Rizzo 2014",
                independent_rows=True,
            ),
            _similarity(
                "cka_biased",
                "Linear CKA, biased",
                _ISOTROPIC,
                cost="O(p² + p·q + q²)",
                literature="Kornblith et al. 2019",
            ),
            _similarity(
                "cca",
                "Mean CCA",
                _LINEAR,
                cost=_CCA_COST,
                literature="Hotelling 1936; Kornblith et al. 2019",
            ),
            _similarity(
                "cca_sq",
                "Mean squared CCA",
                _LINEAR,
                cost=_CCA_COST,
                literature="Hotelling 1936; Kornblith et al. 2019",
            ),
            _similarity(
                "svcca", "SVCCA, 99 % of variance", _ISOTROPIC, cost=_CCA_COST, literature="Raghu et al. 2017"
            ),
            Index(
                name="pwcca",
                title="PWCCA, weights of the source",
                symmetric=False,
                metric=False,
                larger_is_more_similar=True,
                range=(0.0, 1.0),
                source_invariances=frozenset({"translation", "scaling"}),
                target_invariances=_LINEAR,
                independent_rows=False,
                held_out=False,
                cost=_CCA_COST,
                literature="Morcos et al. 2018",
            ),
            _distance("procrustes", "Procrustes, squared", metric=False, largest=2.0),
            _distance("procrustes_angle", "Procrustes, angle", metric=True, largest=pi / 2),
            _matching("dm_r2", "Direct matching, R²", larger=True, target=_ISOTROPIC),
            _matching(
                "dm_struct",
                "Direct matching, structural error",
                larger=False,
                target=frozenset({"scaling", "rotation"}),
            ),
        )
    }
)
"""Every index by its name in results."""


def index_named(name: str) -> Index:
    """Return the description of an index. Raises UnknownIndexError, which names the nearest ones."""
    if name in INDICES:
        return INDICES[name]
    near = get_close_matches(name, INDICES, n=3, cutoff=0.5)
    raise UnknownIndexError(
        where="indices",
        expected="one of " + ", ".join(INDICES),
        found=repr(name),
        remedy=f"Did you mean {' or '.join(near)}?" if near else "Choose one of these names.",
    )
