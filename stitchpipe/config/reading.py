"""How a sweep file is read: TOML, validated, and one message with everything that is wrong in it."""

from __future__ import annotations

import codecs
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from stitchpipe.config.mistakes import explained
from stitchpipe.config.paths import located
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.sweep import Sweep

LARGEST_BYTES: Final = 16 * 2**20
"""Of a sweep file: some hundred thousand models."""
DEEPEST: Final = 32
"""How many tables and lists of a sweep file may stand in each other."""


def load(source: str | Path) -> Sweep:
    """Read a sweep from a TOML file, or one shipped with the package by its name (``"quickstart"``).

    Raises
    ------
    ConfigError
        The file is missing, is not TOML, or describes no valid sweep.
    """
    path = Path(source)
    if path.suffix != ".toml" and str(source) in shipped():
        text = resources.files("stitchpipe").joinpath("sweeps", f"{source}.toml").read_text("utf-8")
        return parse(text, where=f"the shipped sweep '{source}'", folder=Path())
    return parse(_text(path), where=str(path), folder=path.parent)


def shipped() -> tuple[str, ...]:
    """Return the names of the sweeps that come with the package."""
    folder = resources.files("stitchpipe").joinpath("sweeps")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def parse(text: str, *, where: str, folder: Path) -> Sweep:
    """Validate the text of a sweep; relative paths in it start at `folder`.

    Raises
    ------
    ConfigError
        The text is not TOML, or describes no valid sweep: with all mistakes that do not follow from each other.
    """
    try:
        sweep = Sweep.model_validate(_table(text, where))
    except ValidationError as error:
        raise explained(where, error.errors()) from None
    return _resolve_paths(sweep, folder)


def _text(path: Path) -> str:
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


def _table(text: str, where: str) -> dict[str, Any]:
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


def _resolve_paths(sweep: Sweep, folder: Path) -> Sweep:
    store = sweep.store
    if store.url is not None and "://" not in store.url:
        store = store.model_copy(update={"url": str(located(Path(store.url), folder))})
    return sweep.model_copy(
        update={
            "models": tuple(model.starting_at(folder) for model in sweep.models),
            "data": sweep.data.starting_at(folder),
            "store": store,
            "ood": sweep.ood.starting_at(folder),
        }
    )
