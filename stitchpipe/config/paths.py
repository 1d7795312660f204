"""Relative paths of a sweep file start at its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from stitchpipe.config.refusal import RefusalError


def located(path: Path, folder: Path) -> Path:
    """Return a path that starts at a folder where it is relative."""
    return (folder / path.expanduser()).resolve()


def located_name(text: str, folder: Path) -> str:
    """Return a name as it is, unless its beginning says that it is a path and no name of a registry."""
    return str(located(Path(text), folder)) if text.startswith(("./", "../", "/", "~")) else text


def _path_or_url(place: str | Path) -> str | Path:
    if isinstance(place, Path) or "://" not in place:
        return Path(place)
    if not place.startswith(("s3://", "file://")):
        raise RefusalError(
            expected="a path, file://… or s3://bucket/key",
            found=repr(place),
            remedy="Name a file, or an object of a bucket with the S3 interface.",
        )
    return place


Location: TypeAlias = Annotated[
    Path | str,
    AfterValidator(_path_or_url),
    WithJsonSchema({"type": "string"}),
]
"""A file by its path, or text where it is a URL."""
