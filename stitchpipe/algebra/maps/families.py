"""The families of maps by name, as in the names of indices: ``dm_ridge_r2(0.1)`` scores a map of ``ridge``, 0.1."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.maps.affine import AFFINE
from stitchpipe.algebra.maps.low_rank import LOW_RANK_MAPS
from stitchpipe.algebra.maps.orthogonal import ORTHOGONAL
from stitchpipe.algebra.maps.ridge import RIDGE_MAPS
from stitchpipe.algebra.spectrum import EPS64, StorageEps
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra.maps.affine_map import AffineMap
    from stitchpipe.algebra.maps.family import Family
    from stitchpipe.algebra.moments import PairMoments

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (AFFINE, RIDGE_MAPS, ORTHOGONAL, LOW_RANK_MAPS)}
)
"""Every family of maps by its name; a new one is a file of its own and a word in this line."""


def fit_map(
    family: str, pair: PairMoments, *, parameter: float | None = None, storage_eps: StorageEps = EPS64
) -> AffineMap:
    """Fit a map of a family on the rows that `pair` summarises.

    Parameters
    ----------
    family
        A key of `FAMILIES`: ``affine``, ``ridge``, ``orthogonal`` or ``low_rank``.
    pair
        Moments of the rows to fit on, source first.
    parameter
        λ of ``ridge``, the rank of ``low_rank``; None for the default. The other families have none.
    storage_eps
        Spacing at 1 of the dtype the rows were kept in, of both sides or of (source, target).

    Raises
    ------
    UnknownNameError
        No such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError(
            where="direct matching",
            expected="a family of maps: " + ", ".join(FAMILIES),
            found=repr(family),
            remedy="Choose one of these.",
        )
    return FAMILIES[family].fit(pair, parameter, storage_eps)


def family_named(name: str) -> tuple[str, float | None]:
    """Return a family and its parameter: ``"ridge(0.1)"`` is ridge and 0.1, ``"affine"`` affine and None."""
    family, _, parameter = name.rstrip(")").partition("(")
    return family, float(parameter) if parameter else None
