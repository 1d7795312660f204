"""Fitted maps on disk: one safetensors file a map, written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.wholefile import write_whole

if TYPE_CHECKING:
    from pathlib import Path


class MapFileError(ExplainedError, ValueError):
    """A map cannot be read: says which file, what was expected, what was found and what to do."""


def write_map(path: Path, fitted: AffineMap) -> None:
    """Write ``W [q, p]``, ``b [q]``, rank and condition number; an existing file is replaced atomically."""
    notes = {"rank": str(fitted.rank), "condition": repr(float(fitted.condition))}
    write_whole(path, save({"W": fitted.W, "b": fitted.b}, metadata=notes))


def read_map(path: Path) -> AffineMap:
    """Read a map that `write_map` wrote; `MapFileError` if it is missing or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            notes = file.metadata()
            return AffineMap(
                W=file.get_tensor("W"),
                b=file.get_tensor("b"),
                rank=int(notes["rank"]),
                condition=float(notes["condition"]),
            )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise MapFileError(
            where=str(path),
            expected="a fitted map",
            found=named_line(error),
            remedy="Delete the file and run the sweep again: it is fitted anew from the store.",
        ) from None
