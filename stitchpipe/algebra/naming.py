"""Indices by name: a key of the table of indices, with a parameter in parentheses where the index takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.indices import INDICES
from stitchpipe.measures import read_name

if TYPE_CHECKING:
    from stitchpipe.measures import Measure


def index_named(name: str) -> Measure:
    """Return what there is to know of an index: ``"cka"``, ``"gulp"`` (its default λ) or ``"gulp(0.1)"``.

    The name of what is returned is the shortest spelling, so that one number has one name:
    ``gulp(0.10)`` becomes ``gulp(0.1)``, and the default's parentheses are dropped.

    Raises
    ------
    UnknownNameError
        No such index (the nearest names are given), a parameter where there is none, or one out of range.
    """
    known = {index.name: index.parameter for index in INDICES.values()}
    base, value = read_name(name, known, what="index", see="See `stitchpipe indices`.")
    return INDICES[base] if value is None else INDICES[base].with_parameter(value)
