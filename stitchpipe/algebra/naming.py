"""Indices by name: a key of the registry, with a parameter in parentheses where the index takes one."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import UnknownIndexError
from stitchpipe.algebra.indices import INDICES

if TYPE_CHECKING:
    from stitchpipe.algebra.description import Index
    from stitchpipe.measures import Parameter

_NAME = re.compile(r"(\w+)(?:\(([^()]*)\))?")


def index_named(name: str) -> Index:
    """Return the description of an index: ``"cka"``, ``"gulp"`` (its default λ) or ``"gulp(0.1)"``.

    The name of what is returned is the shortest spelling, so that one number has one name:
    ``gulp(0.10)`` becomes ``gulp(0.1)``, and the default's parentheses are dropped.

    Raises
    ------
    UnknownIndexError
        No such index (the nearest names are given), a parameter where there is none, or one out of range.
    """
    match = _NAME.fullmatch(name.strip())
    index = INDICES.get(match[1]) if match else None
    if match is None or index is None:
        near = get_close_matches(name.partition("(")[0], INDICES, n=3, cutoff=0.5)
        raise UnknownIndexError(
            where="indices",
            expected="one of " + ", ".join(INDICES),
            found=repr(name),
            remedy=f"Did you mean {' or '.join(near)}?" if near else "Choose one of these names.",
        )
    if match[2] is None:
        return index
    if index.parameter is None:
        raise UnknownIndexError(
            where=f"index {index.name}",
            expected="no parameter",
            found=repr(name),
            remedy=f"Write {index.name}.",
        )
    return _with_value(index, index.parameter, match[2], name)


def find_index(name: str) -> Index | None:
    """Return the description of an index, or None where the name is unknown: for results of other versions."""
    try:
        return index_named(name)
    except UnknownIndexError:
        return None


def _with_value(index: Index, parameter: Parameter, text: str, name: str) -> Index:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not parameter.allows(value):
        raise UnknownIndexError(
            where=f"index {index.name}",
            expected=f"{parameter.allowed} in the parentheses ({parameter.meaning})",
            found=repr(name),
            remedy=f"Write for example {index.name}({_spelt(parameter.value)}), which is the default.",
        )
    if value == parameter.value:
        return index
    return replace(index, name=f"{index.name}({_spelt(value)})", parameter=replace(parameter, value=value))


def _spelt(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
