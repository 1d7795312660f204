"""How the text of a sweep file is read: bounded, UTF-8, TOML; nothing of its meaning."""

from __future__ import annotations

import codecs
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config.refusal import ConfigError
from stitchpipe.errors import nearest

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES: Final = 16 * 2**20
"""Of a sweep file: some hundred thousand models."""
DEEPEST: Final = 32
"""How many tables and lists of a sweep file may stand in each other."""


def shipped() -> tuple[str, ...]:
    """Return the names of the sweeps that come with the package."""
    folder = resources.files("stitchpipe").joinpath("sweeps")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """Return the text of a sweep that comes with the package; `ConfigError` where there is none of that name."""
    if name not in shipped():
        raise ConfigError(
            where=f"'{name}'",
            expected=f"a sweep of the gallery: {', '.join(shipped())}",
            found="none of this name",
            remedy=nearest(name, shipped()) or "`stitchpipe gallery` lists them.",
        )
    return resources.files("stitchpipe").joinpath("sweeps", f"{name}.toml").read_text("utf-8")


def shipped_titles() -> dict[str, str]:
    """Return what each shipped sweep asks: the first line of its file, by name."""
    return {name: shipped_text(name).partition("\n")[0].lstrip("# ") for name in shipped()}


def read_text(path: Path) -> str:
    """Return the text of a sweep file.

    Raises
    ------
    ConfigError
        It cannot be read, is too large, or is not UTF-8.
    """
    expected, remedy = "a sweep file in UTF-8", "Save it as UTF-8 without a byte order mark."
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
        if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            found = "a byte order mark at its beginning"
        elif len(raw) > LARGEST_BYTES:
            expected, found = f"a sweep file of at most {LARGEST_BYTES >> 20} MiB", "a larger file"
            remedy = "Is it the right file? If so, split the sweep."
        else:
            return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"text that is not UTF-8, at byte {error.start}"
    except OSError as error:
        expected, found = "a readable sweep file", error.strerror or type(error).__name__
        remedy = f"Give the path of a TOML file, or a shipped sweep: {', '.join(shipped())}."
    raise ConfigError(where=str(path), expected=expected, found=found, remedy=remedy)


def read_table(text: str, where: str) -> dict[str, Any]:
    """Return the tables of a sweep file; `ConfigError` where it is no TOML, or tables stand too deep in each other."""
    expected, remedy = "TOML", "Correct the file at that place."
    try:
        table = tomllib.loads(text)
        if _depth(table) <= DEEPEST:
            return table
        deep = True
    except RecursionError:
        deep = True
    except ValueError as error:  # a mistake of syntax, or a number of thousands of digits
        deep, found = False, str(error)
    if deep:
        expected = f"tables and lists that stand in each other at most {DEEPEST} deep"
        found, remedy = "more", "Is it a sweep?"
    raise ConfigError(where=where, expected=expected, found=found, remedy=remedy)


def _depth(table: dict[str, Any]) -> int:
    """Return how deep tables and lists stand in each other, without recursion."""
    level: list[Any] = [table]
    depth = 0
    while level and depth <= DEEPEST:
        depth += 1
        inner = [item for part in level for item in (part.values() if isinstance(part, dict) else part)]
        level = [item for item in inner if isinstance(item, dict | list)]
    return depth
