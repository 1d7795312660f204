"""Indices by name: a key of the table, with a number in parentheses where the index takes one."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.indices.table import INDICES
from stitchpipe.algebra.spectrum import EPS64, StorageEps
from stitchpipe.measures import read_name

if TYPE_CHECKING:
    from stitchpipe.algebra.index import Index, IndexValue
    from stitchpipe.algebra.moments import PairMoments


@lru_cache
def index_named(name: str) -> Index:
    """Return an index: ``"cka"``, ``"gulp"`` (its default λ) or ``"gulp(0.1)"``.

    Its own name is the shortest spelling, so that one number has one name: ``gulp(0.10)`` becomes ``gulp(0.1)``, and
    the default's parentheses are dropped.

    Raises
    ------
    UnknownNameError
        No such index (the nearest names are given), a parameter where there is none, or one out of range.
    """
    known = {index.name: index.measure.parameter for index in INDICES.values()}
    base, value = read_name(name, known, what="index", see="See `stitchpipe indices`.")
    return INDICES[base] if value is None else INDICES[base].with_parameter(value)


def evaluate(
    name: str,
    pair: PairMoments | Analysis,
    *,
    train: PairMoments | None = None,
    storage_eps: StorageEps = EPS64,
) -> IndexValue:
    """Return the value of index `name` on the rows that `pair` summarises.

    Where many indices of a pair are wanted, pass its `Analysis`: what several of them need is computed once.

    Parameters
    ----------
    pair
        Moments of the rows to score, or what was analysed of them.
    train, storage_eps
        Of the `Analysis`, where only moments are given.

    Raises
    ------
    UnknownNameError
        As `index_named`.
    UndefinedIndexError, AlgebraError, MomentsError
        As `Index.value`.
    """
    analysis = pair if isinstance(pair, Analysis) else Analysis(pair, train, storage_eps)
    return index_named(name).value(analysis)
