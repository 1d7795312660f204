"""Relative paths of a sweep file start at its folder."""

from __future__ import annotations

from pathlib import Path


def located(path: Path, folder: Path) -> Path:
    """Return a path that starts at a folder where it is relative."""
    return (folder / path.expanduser()).resolve()


def located_name(text: str, folder: Path) -> str:
    """Return a name as it is, unless its beginning says that it is a path and no name of a registry."""
    return str(located(Path(text), folder)) if text.startswith(("./", "../", "/", "~")) else text
