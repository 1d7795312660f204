"""Names with a number in parentheses, as they stand in sweep files and results: ``gulp(0.1)``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.measures.parameter import Parameter

_NAME = re.compile(r"(\w+)(?:\(([^()]*)\))?")


class UnknownNameError(ExplainedError, ValueError):
    """There is nothing of that name, or not with that number."""


def read_name(
    name: str, known: Mapping[str, Parameter | None], *, what: str, see: str
) -> tuple[str, float | None]:
    """Return what a name says: one of the known ones, and the number behind it; None where there is none.

    Parameters
    ----------
    known
        What there is, and what may stand in the parentheses of each.
    what, see
        What is named, in the singular, and where all of them are listed; for the refusal.

    Raises
    ------
    UnknownNameError
        No such name (the nearest ones are given), a number where none is taken, or one out of range.
    """
    match = _NAME.fullmatch(name.strip())
    base, text = (match[1], match[2]) if match else (name, None)
    if base not in known:
        raise UnknownNameError(
            where=f"{what} {name!r}",
            expected="one of " + ", ".join(known),
            found=repr(name),
            remedy=nearest(name.partition("(")[0], known, most=3) or see,
        )
    parameter = known[base]
    if text is None:
        return base, None
    if parameter is None:
        raise UnknownNameError(
            where=f"{what} {base}", expected="no parameter", found=repr(name), remedy=f"Write '{base}'."
        )
    return base, _number(name, base, text, parameter)


def spelt(value: float) -> str:
    """Return the one spelling of a number in parentheses: digits that read back as the same, no ``.0``."""
    return repr(float(value)).removesuffix(".0")


def _number(name: str, base: str, text: str, parameter: Parameter) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not parameter.allows(value):
        raise UnknownNameError(
            where=base,
            expected=f"{parameter.allowed} in the parentheses ({parameter.meaning})",
            found=repr(name),
            remedy=f"Write for example '{base}({spelt(parameter.value)})', which is the default.",
        )
    return value
