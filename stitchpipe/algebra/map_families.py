"""The families of maps by name, as in the names of indices: ``dm_ridge_r2(0.1)`` scores a map of ``ridge``, 0.1."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import UnknownIndexError
from stitchpipe.algebra.least_squares import LOW_RANK, fit_direct_matching, fit_low_rank, fit_ridge
from stitchpipe.algebra.orthogonal import fit_orthogonal
from stitchpipe.algebra.penalty import RIDGE
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.algebra.summaries import PairMoments


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
    UnknownIndexError
        No such family.
    """
    if family not in FAMILIES:
        raise UnknownIndexError(
            where="direct matching",
            expected="a family of maps: " + ", ".join(FAMILIES),
            found=repr(family),
            remedy="Choose one of these.",
        )
    return FAMILIES[family](pair, parameter, storage_eps)


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


FAMILIES: Mapping[str, Callable[[PairMoments, float | None, StorageEps], AffineMap]] = MappingProxyType(
    {"affine": _affine, "ridge": _ridge, "orthogonal": _orthogonal, "low_rank": _low_rank}
)
"""How the maps of each family are fitted."""
