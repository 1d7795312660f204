"""How a sweep file is read: TOML, validated, and one message where it is wrong."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stitchpipe.config.controls import Control
from stitchpipe.config.data import Data
from stitchpipe.config.models import Model, Training, located
from stitchpipe.config.ood import IMAGE_ORIGINS, Detector, Ood
from stitchpipe.config.refusal import ConfigError, RefusalError, Section
from stitchpipe.config.stitches import Stitch
from stitchpipe.config.store import Augment, Dump, Store
from stitchpipe.config.sweep import Certainty, Compare, Run, Sweep
from stitchpipe.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails


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
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            where=str(path),
            expected="a readable sweep file",
            found=error.strerror
            if isinstance(error, OSError) and error.strerror
            else "text that is not UTF-8",
            remedy=f"Give the path of a TOML file, or a shipped sweep: {', '.join(shipped())}.",
        ) from None
    return parse(text, where=str(path), folder=path.parent)


def shipped() -> tuple[str, ...]:
    """Return the names of the sweeps that come with the package."""
    folder = resources.files("stitchpipe").joinpath("sweeps")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def parse(text: str, *, where: str, folder: Path) -> Sweep:
    """Validate the text of a sweep; relative paths in it start at `folder`."""
    try:
        sweep = Sweep.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            where=where, expected="TOML", found=str(error), remedy="Correct the file at that place."
        ) from None
    except ValidationError as error:
        raise _config_error(where, error.errors()) from None
    return _resolve_paths(sweep, folder)


def _resolve_paths(sweep: Sweep, folder: Path) -> Sweep:
    def resolved(path: Path | None) -> Path | None:
        return None if path is None else located(path, folder)

    models = tuple(model.starting_at(folder) for model in sweep.models)

    def with_paths(data: Data) -> Data:
        return data.model_copy(
            update={
                "root": resolved(data.root),
                "files": {split: resolved(path) for split, path in data.files.items()},
                "label_files": {split: resolved(path) for split, path in data.label_files.items()},
            }
        )

    store = sweep.store
    if store.url is not None and "://" not in store.url:
        store = store.model_copy(update={"url": str(resolved(Path(store.url)))})
    return sweep.model_copy(
        update={
            "models": models,
            "data": with_paths(sweep.data),
            "store": store,
            "ood": sweep.ood.with_data(with_paths),
        }
    )


def _config_error(where: str, errors: Sequence[ErrorDetails]) -> ConfigError:
    """Turn pydantic's list into one message: a misspelt key first, because it also causes a missing one."""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    location = tuple(part for part in first["loc"] if part not in IMAGE_ORIGINS)
    place = f"{where}, {_key_path(location)}" if location else where
    more = f" ({len(errors) - 1} more in this file.)" if len(errors) > 1 else ""
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, RefusalError):
        return ConfigError(
            where=place, expected=refusal.expected, found=refusal.found, remedy=refusal.remedy + more
        )
    if first["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        found, expected = f"the unknown key '{location[-1]}'", f"one of the keys {', '.join(known)}"
        remedy = nearest(str(location[-1]), known) or "Remove it."
    elif first["type"] == "missing":
        found, expected, remedy = "none", "a value", "Add this key."
    else:
        found, expected = repr(first["input"]), first["msg"].removeprefix("Input should be ")
        remedy = nearest(str(first["input"]), expected.replace("'", " ").split()) or "Correct the value."
    return ConfigError(where=place, expected=expected, found=found, remedy=remedy + more)


def _key_path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _keys_at(location: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys that the table at `location` may have."""
    sections: dict[str, type[Section]] = {
        "data": Data, "models": Model, "train": Training, "dump": Dump,
        "augment": Augment, "control": Control, "store": Store, "compare": Compare, "stitch": Stitch,
        "ood": Ood, "detector": Detector, "auxiliary": Data, "sanity": Data, "certainty": Certainty, "run": Run,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return tuple((sections[names[-1]] if names else Sweep).model_fields)
