"""Which indices and maps a sweep may ask for, by name; a number in parentheses where one is taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator

from stitchpipe.config.refusal import RefusalError
from stitchpipe.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Number:
    """What may stand in an index's parentheses: above 0, at most `largest`, whole where `whole`."""

    default: float
    largest: float = inf
    whole: bool = False

    def allows(self, value: float) -> bool:
        """Whether it may be this value."""
        return 0.0 < value <= self.largest and value != inf and (not self.whole or value % 1 == 0)

    def __str__(self) -> str:
        """Return the values there may be, in words."""
        bound = "above 0" if self.largest == inf else f"above 0 and at most {self.largest:g}"
        return f"a {'whole ' * self.whole}number {bound}"


_RIDGE, _RANK, _SHARE = Number(0.01), Number(8, whole=True), Number(0.99, largest=1.0)

INDEX_NAMES: Mapping[str, Number | None] = {
    "cka": None,
    "cka_biased": None,
    "rv": None,
    "cca": None,
    "cca_sq": None,
    "svcca": _SHARE,
    "pwcca": None,
    "ridge_cca": _RIDGE,
    "procrustes": None,
    "procrustes_angle": None,
    "nbs": None,
    "gulp": _RIDGE,
    "dm_r2": None,
    "dm_struct": None,
    "dm_ridge_r2": _RIDGE,
    "dm_ridge_struct": _RIDGE,
    "dm_orthogonal_r2": None,
    "dm_orthogonal_struct": None,
    "dm_low_rank_r2": _RANK,
    "dm_low_rank_struct": _RANK,
    "cka_rbf": None,
    "cka_minibatch": None,
    "mutual_knn": None,
    "rsa": None,
    "agreement": None,
}
"""Every index, and what its parentheses may hold; the registry of `stitchpipe.algebra` says what they are."""

ONE_ROW_PER_IMAGE = frozenset({"cka", "cka_rbf", "cka_minibatch", "mutual_knn", "rsa", "agreement"})
"""Those that take rows for independent, which positions of one image are not."""

MAP_NAMES: Mapping[str, Number | None] = {
    "affine": None,
    "ridge": _RIDGE,
    "orthogonal": None,
    "low_rank": _RANK,
}
"""Every family of least-squares maps, and what its parentheses may hold."""

_SPELLING = re.compile(r"(\w+)(?:\(([^()]*)\))?")


def canonical(name: str) -> str:
    """Return the one spelling of an index's name; a default in parentheses is dropped.

    Raises
    ------
    RefusalError
        No such index, or not with that number.
    """
    return _canonical(name, INDEX_NAMES, "an index", "See `stitchpipe indices`.")


def canonical_map(name: str) -> str:
    """Return the one spelling of a family of maps; raises as `canonical`."""
    return _canonical(name, MAP_NAMES, "a family of maps", "Choose one of these.")


def _canonical(name: str, known: Mapping[str, Number | None], what: str, remedy: str) -> str:
    match = _SPELLING.fullmatch(name.strip())
    base, text = (match[1], match[2]) if match else (name, None)
    if base not in known:
        raise RefusalError(
            expected=f"{what}: " + ", ".join(known),
            found=repr(name),
            remedy=nearest(name.partition("(")[0], tuple(known)) or remedy,
        )
    number = known[base]
    if text is None:
        return base
    if number is None:
        raise RefusalError(expected=f"{base} without a number", found=repr(name), remedy=f"Write '{base}'.")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not number.allows(value):
        raise RefusalError(
            expected=f"{number} in the parentheses of {base}",
            found=repr(name),
            remedy=f"Write for example '{base}({number.default:g})', which is the default.",
        )
    return base if value == number.default else f"{base}({repr(value).removesuffix('.0')})"


IndexName: TypeAlias = Annotated[str, AfterValidator(canonical)]
MapName: TypeAlias = Annotated[str, AfterValidator(canonical_map)]
