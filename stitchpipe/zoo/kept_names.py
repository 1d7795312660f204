"""Names that a library offers, kept between processes: to ask it means to import torch, five processor seconds.

They are kept in the user's cache folder, one small file for each list and version of the library, and made again where
a file is not there, not whole, or older than the library's installation. Nothing is said where they cannot be kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FOLDER: Final = "STITCHPIPE_CACHE"
"""The environment variable that names another folder."""


def kept_names(what: str, package: str, listed: Callable[[], Iterable[str]]) -> tuple[str, ...]:
    """Return a list of names of a library: the one that is kept for its version, or what `listed` gives now.

    Parameters
    ----------
    what
        What the names are, as the file is called.
    package
        The distribution that they come from.
    """
    path = _path(what, package)
    if path is None:
        return tuple(listed())
    names = _read(path)
    if names is None:
        names = tuple(listed())
        _write(path, names)
    return names


def _path(what: str, package: str) -> Path | None:
    """Return where a list is kept; None for a package whose installation cannot be told from another."""
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        return None
    record = next((file for file in installed.files or () if file.name == "RECORD"), None)
    try:
        at = None if record is None else Path(str(installed.locate_file(record))).stat()
    except OSError:
        at = None
    if at is None:  # an editable installation changes without a new version
        return None
    stamp = sha256(f"{installed.locate_file('')} {at.st_size} {at.st_mtime_ns}".encode()).hexdigest()[:12]
    folder = Path(os.environ.get(FOLDER) or user_cache_path("stitchpipe"))
    return folder / f"{what}-{installed.version}-{stamp}.json"


def _read(path: Path) -> tuple[str, ...] | None:
    """Return the names in a file; None where there is none, or one that is not whole."""
    try:
        kept = json.loads(path.read_bytes())
        names = tuple(map(str, kept["names"]))
        return names if kept["sha256"] == _digest(names) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, names: tuple[str, ...]) -> None:
    """Keep names under a path, whole or not at all."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump({"names": names, "sha256": _digest(names)}, file)
        Path(file.name).replace(path)


def _digest(names: tuple[str, ...]) -> str:
    return sha256("\n".join(names).encode()).hexdigest()
