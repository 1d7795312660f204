"""Fitted maps on disk: one safetensors file a map, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.errors import ExplainedError


class MapFileError(ExplainedError, ValueError):
    """A map cannot be read: says which file, what was expected, what was found and what to do."""


def write_map(path: Path, fitted: AffineMap) -> None:
    """Write ``W [q, p]``, ``b [q]``, rank and condition number; an existing file is replaced atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"rank": str(fitted.rank), "condition": repr(float(fitted.condition))}
    payload = save({"W": fitted.W, "b": fitted.b}, metadata=notes)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


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
            found=f"{type(error).__name__}: {error}",
            remedy="Delete the file and run the sweep again: it is fitted anew from the store.",
        ) from None
