"""Every measure that there is, gathered from where it is declared beside its formula.

The names that a sweep may ask for, ``--help``, the listing of indices, the glossary of a report and the titles of
figures are all derived from here, so that a measure is added where its formula is and nowhere else.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stitchpipe.algebra.indices import INDICES
from stitchpipe.algebra.map_families import FAMILIES
from stitchpipe.algebra.naming import index_named
from stitchpipe.measures import UnknownNameError, read_name, spelt
from stitchpipe.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.measures import Measure


INSTALLED = Plugins("stitchpipe.indices", "index")
"""Indices that installed packages add."""


def indices() -> Mapping[str, Measure]:
    """Return what there is to know of every index, by name, with the default of its parameter."""
    return INDICES


def index_measure(name: str) -> Measure:
    """Return what there is to know of an index, under the one spelling of its name.

    Raises
    ------
    UnknownNameError
        No such index (the nearest names are given), a parameter where there is none, or one out of range.
    """
    return index_named(name)


def find_measure(name: str) -> Measure | None:
    """Return what there is to know of a measure, or None where the name is unknown: in results of other versions."""
    try:
        return index_measure(name)
    except UnknownNameError:
        return None


def provider(name: str) -> str | None:
    """Return the package that adds an index, and its version; None for an index of ours.

    Its numbers depend on it, as those of ours depend on the version of our algebra.
    """
    base = name.partition("(")[0]
    return None if base in INDICES else _provider(base)


@cache
def _provider(base: str) -> str | None:
    """Return who adds an index; looked up once, because every key of every pair asks."""
    return INSTALLED.provider(base)


def map_family(name: str) -> str:
    """Return the one spelling of a family of least-squares maps: ``ridge(0.10)`` is ``ridge(0.1)``.

    Raises
    ------
    UnknownNameError
        No such family, or not with that number.
    """
    known = {family.name: family.parameter for family in FAMILIES.values()}
    base, value = read_name(name, known, what="family of maps", see="Choose one of these.")
    parameter = known[base]
    return (
        base if value is None or parameter is None or value == parameter.value else f"{base}({spelt(value)})"
    )
