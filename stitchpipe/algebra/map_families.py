"""The families of maps by name, as in the names of indices: ``dm_ridge_r2(0.1)`` scores a map of ``ridge``, 0.1."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.least_squares import LOW_RANK, fit_direct_matching, fit_low_rank, fit_ridge
from stitchpipe.algebra.orthogonal import fit_orthogonal
from stitchpipe.algebra.penalty import RIDGE, ridge_parameter
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.measures import Parameter, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.algebra.summaries import PairMoments


@dataclass(frozen=True)
class Family:
    """A family of least-squares maps.

    Attributes
    ----------
    name
        As in sweeps and in the names of indices.
    parameter
        What may be chosen, None where there is nothing.
    fit
        Of the moments of a pair, the parameter (None: its default) and the spacing of storage.
    """

    name: str
    parameter: Parameter | None
    fit: Callable[[PairMoments, float | None, StorageEps], AffineMap]


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


def _affine(pair: PairMoments, _: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_direct_matching(pair, storage_eps=by_side(storage_eps)[0])


def _ridge(pair: PairMoments, ridge: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_ridge(pair, ridge=RIDGE if ridge is None else ridge, storage_eps=by_side(storage_eps)[0])


def _orthogonal(pair: PairMoments, _: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_orthogonal(pair, storage_eps=storage_eps)


def _low_rank(pair: PairMoments, rank: float | None, storage_eps: StorageEps) -> AffineMap:
    chosen = LOW_RANK if rank is None else int(rank)
    return fit_low_rank(pair, rank=chosen, storage_eps=by_side(storage_eps)[0])


RANK = Parameter(
    symbol="r",
    meaning="the largest rank of the map",
    value=LOW_RANK,
    largest=inf,
    label="rank {:g}",
    whole=True,
)
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("affine", None, _affine),
            Family("ridge", ridge_parameter("the source"), _ridge),
            Family("orthogonal", None, _orthogonal),
            Family("low_rank", RANK, _low_rank),
        )
    }
)
"""Every family of maps by its name."""
