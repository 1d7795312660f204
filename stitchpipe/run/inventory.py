"""What a run must still hold: the inventory of its files, and the dumps that its records say were sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.results import leftover_names
from storage import CorruptError, Inventory, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.run.place import RunPlace
    from storage import Entry, Store

_PASSING: Final = ("training", "sweeps", "claims", "units", "declared", "times", "settled", "comparison")
"""Names that are removed, or forgotten, in the course of things."""


def inventory_of(place: RunPlace) -> Inventory:
    """Return the inventory of a run's files."""
    return Inventory(place.files.place, _PASSING)


def take_inventory(place: RunPlace) -> None:
    """Put on record what the run holds: what is removed from now on is missed by `stitchpipe verify`."""
    inventory_of(place).take(lambda: leftover_names(place.files))


def covers(place: RunPlace, entries: Iterable[Entry]) -> bool:
    """Return whether the inventory names all that a listing of the run's place holds."""
    return inventory_of(place).covers(entries, lambda: leftover_names(place.files))


def gone(place: RunPlace) -> list[Problem]:
    """Return the files that the run held when its inventory was taken, and holds no more."""
    try:
        return inventory_of(place).problems(leftover_names(place.files))
    except CorruptError:
        return []  # a damaged record, which is a problem of its own


def unsealed(place: RunPlace, store: Store) -> list[Problem]:
    """Return the dumps that are sealed by the run's records and have no manifest in its store."""
    try:
        records, sealed = place.files.records("models"), store.ever_sealed()
    except CorruptError:
        return []  # the same
    problems = []
    for name, record in records.items():
        model, is_dump, split = name.removeprefix("models/").rpartition("/dump-")
        if is_dump and record.get("sealed"):
            there = sealed.get((model, str(record["fingerprint"])), set())
            missing = [layer for layer in record["layers"] if layer not in there]
            if missing:
                problems.append(
                    Problem(
                        f"{model} on {split}",
                        None,
                        store.url,
                        f"manifests of {len(record['layers'])} layers, which the run dumped",
                        f"none of {', '.join(missing[:4])}{', …' if len(missing) > 4 else ''}",
                        "Run again: what is missing is dumped again.",
                    )
                )
    return problems
