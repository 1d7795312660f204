"""Which names a glob means: a name that is spelt as it is stands for itself, whatever signs of globs are in it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def meant_by(glob: str, names: Collection[str]) -> list[str]:
    """Return the names that a glob means, in their order.

    >>> meant_by("net[1]", ["net1", "net[1]"]), meant_by("net[12]", ["net1", "net[1]"])
    (['net[1]'], ['net1'])
    """
    return [glob] if glob in names else [name for name in names if fnmatchcase(name, glob)]
