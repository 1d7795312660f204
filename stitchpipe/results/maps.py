"""Fitted maps as bytes: safetensors, with what else is known of a map in the header."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError
from safetensors.numpy import load, save

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.safetensors_notes import notes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFiles

_NOTES: Final = "map"
"""The one key of a file's metadata: several are written in no fixed order, and equal maps are equal files."""


class MapFileError(ExplainedError, ValueError):
    """A map cannot be read: says which, what was expected, what was found and what to do."""


@dataclass(frozen=True)
class MapToKeep:
    """Where a map is to be kept, once it is fitted; picklable, so that a worker process can keep it.

    Attributes
    ----------
    name
        Among the files.
    made
        What the map is of: its ends, its method, its key. It stands in the file's header.
    """

    files: CheckedFiles
    name: str
    made: Mapping[str, Any]

    def keep(self, fitted: AffineMap) -> None:
        """Write the map under its name; `storage.WriteError` where the place refuses."""
        self.files.write(self.name, ".safetensors", map_bytes(fitted, self.made))


def map_bytes(fitted: AffineMap, made: Mapping[str, Any]) -> bytes:
    """Return ``W [q, p]``, ``b [q]``, rank, condition number, and what the map is of, as safetensors."""
    notes = {"rank": int(fitted.rank), "condition": float(fitted.condition), "made": dict(made)}
    return save({"W": fitted.W, "b": fitted.b}, metadata={_NOTES: json.dumps(notes, sort_keys=True)})


def map_of(data: bytes, *, where: str) -> AffineMap:
    """Return the map in what `map_bytes` gave; `MapFileError` if it is none."""
    try:
        notes, arrays = _notes(data), load(data)
        return AffineMap(
            W=arrays["W"], b=arrays["b"], rank=int(notes["rank"]), condition=float(notes["condition"])
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _no_map(where, error) from None


def made_of(data: bytes, *, where: str) -> dict[str, Any]:
    """Return what a map is of: its ends, its method, its key; `MapFileError` if it is none."""
    try:
        return dict(_notes(data)["made"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_map(where, error) from None


def _notes(data: bytes) -> dict[str, Any]:
    """Return what else is known of a map; errors as `notes_of`."""
    return dict(json.loads(notes_of(data)[_NOTES]))


def _no_map(where: str, error: Exception) -> MapFileError:
    return MapFileError(
        where=where,
        expected="a fitted map",
        found=named_line(error),
        remedy="Remove the file and run the sweep again: it is fitted anew from the store.",
    )
