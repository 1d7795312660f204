"""The root of a store: its group, and the record that makes a directory a store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from storage.format import FORMAT, FileRecord, commits_array, create_record, group_metadata
from storage.place import COMMITS

if TYPE_CHECKING:
    from storage.place import Place

STORE = "store"
STORE_RECORD = f"{COMMITS}/store.json"


def strangers(place: Place) -> bool:
    """Return whether there are files that no beginning of a store has."""
    own = (f"{COMMITS}/", "zarr.json")
    return any(not entry.key.startswith(own) for entry in place.entries())


def root_files() -> dict[str, bytes]:
    """Return the files beside the store's record."""
    home = {f"{COMMITS}/{name}": data for name, data in commits_array().items()}
    return {"zarr.json": group_metadata({"activation_store_format": FORMAT}), **home}


def make_root(place: Place) -> None:
    """Make a new store, or complete one whose making was cut short."""
    beside = root_files()
    content = {"files": [asdict(FileRecord.of(key, data)) for key, data in beside.items()]}
    create_record(place, STORE_RECORD, kind=STORE, content=content)
    for key, data in beside.items():
        place.create(key, data)
