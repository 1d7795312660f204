"""Which declarations a run keeps, by its records alone: to ask for a text takes nothing that validates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.run.place import RunPlace

RECORDS: Final = "declared"
"""The folder of the records: of each sweep by its name, which file has it as it was declared last."""


def kept_text(place: RunPlace) -> str | None:
    """Return the text of the sweep that `stitchpipe.run.declarations.kept_sweep` would return, or None for none.

    It is not validated.
    """
    file = file_of(kept_records(place), None)
    return place.declaration() if file is None else place.files.read(file).decode()


def kept_records(place: RunPlace) -> list[Mapping[str, Any]]:
    """Return what is on record of declarations, the one that was worked on last at the end."""
    return sorted(place.files.records(RECORDS).values(), key=lambda record: float(record["kept_s"]))


def file_of(records: Sequence[Mapping[str, Any]], name: str | None) -> str | None:
    """Return the file of the sweep of a name, or of the last one that is no part of another."""
    wholes = [record for record in records if record["part_of"] is None] or list(records)
    chosen = wholes if name is None else [record for record in records if record["sweep"] == name]
    return str(chosen[-1]["file"]) if chosen else None
