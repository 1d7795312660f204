"""Repairing a store: damaged files are taken out, what follows from sound records is made again, the rest is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.commits import STORE, STORE_RECORD, dump_keys, make_root, out_of_sight, root_files, split_keys
from storage.errors import CorruptError, NotFoundError, SymlinkError
from storage.format import Address, FileRecord, dump_record_key, marker_key, read_record, split_record_key
from storage.maintenance.repairing.dump import repair_dump
from storage.maintenance.repairing.mending import Mending, Quarantined
from storage.maintenance.repairing.split import repair_split
from storage.maintenance.repairing.summaries import repair_summaries
from storage.maintenance.repairing.unsealed_layer_sets import (
    layers_of_lost_manifests,
    unsealed_layer_sets,
    unsealed_layers,
)
from storage.maintenance.strangers import strangers_in
from storage.place import QUARANTINE
from storage.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.format import DumpIdentity
    from storage.place import Place
    from storage.splits import Split


@dataclass(frozen=True, order=True)
class Redo:
    """Row groups of a layer that must be dumped again, by the same network: `address` and `fingerprint` say which."""

    address: Address
    fingerprint: str
    row_groups: tuple[int, ...]


@dataclass(frozen=True)
class Repair:
    """What a repair did.

    Attributes
    ----------
    problems
        What was wrong, with the files.
    quarantined
        What was taken out, and where it lies now.
    restored
        Keys of the files that were made again.
    redo
        What must be dumped again; also what an earlier repair left to be dumped.
    left
        What cannot be repaired: it must be restored from a copy, or as its remedy says.
    summaries
        Keys of damaged summaries that were taken out: they are computed again when they are needed.
    """

    problems: tuple[Problem, ...]
    quarantined: tuple[Quarantined, ...]
    restored: tuple[str, ...]
    redo: tuple[Redo, ...]
    left: tuple[Problem, ...]
    summaries: tuple[str, ...] = ()


def repair(
    place: Place,
    *,
    model: str | None = None,
    on_shard: Callable[[str, int], None] | None = None,
    on_summary: Callable[[str, int], None] | None = None,
) -> Repair:
    """Repair what lies at `place`, also where the store's own record is damaged.

    Every committed byte is checked as `verify` does, and so are markers and shards of dumps that were not sealed.
    Damaged files are quarantined, never deleted. Flags, coordinates, metadata, markers, manifests and records of
    splits are made again from sound ones; layers with damaged shards are retired, and the next dump computes their
    damaged row groups only; damaged summaries are computed again by whoever needs them. No writer may be at work in
    what is repaired; readers may.

    Parameters
    ----------
    model
        Only this model's dumps; splits, summaries and the root in any case.
    on_shard
        Called with (representation, bytes read) after each committed shard.
    on_summary
        Called with (file, its bytes) after each summary.

    Raises
    ------
    FormatError
        A record is of a newer format; nothing of it was touched.
    WriteError
        The place refused; run it again.

    Notes
    -----
    Reads everything once. Idempotent: cut anywhere, it is run again.
    """
    mending = Mending(place)
    _repair_root(mending)
    redo: list[Redo] = []
    for parent in split_keys(place):
        try:
            place.path(parent)
            split = repair_split(mending, parent)
        except SymlinkError as error:
            mending.left.append(problem_of(error, label=parent))
            continue
        for dump in [key for key in dump_keys(place, model=model) if key.rpartition("/")[0] == parent]:
            if split is not None:
                redo += _repair_dump(mending, dump, split, on_shard)
    removed = repair_summaries(mending, on_summary)
    mending.left += strangers_in(place, but=mending.left)
    return Repair(
        tuple(mending.problems),
        tuple(mending.quarantined),
        tuple(dict.fromkeys(mending.restored)),
        tuple(sorted(redo)),
        tuple(mending.left),
        removed,
    )


def _repair_root(mending: Mending) -> None:
    """Restore the group at the root and the record that makes a directory a store."""
    made = root_files()
    try:
        files = [FileRecord(**file) for file in read_record(mending.place, STORE_RECORD, kind=STORE)["files"]]
    except CorruptError as error:
        mending.take_out(STORE_RECORD, problem_of(error, label=STORE))
    except NotFoundError as error:
        if not _is_store(mending.place):
            raise
        mending.problems.append(problem_of(error, label=STORE))
    else:
        if mending.settle_all("", files, made, label=STORE):
            return
        where = mending.place.path(STORE_RECORD)
        mending.take_out(STORE_RECORD, Problem(STORE, None, where, "files as recorded", "older ones", ""))
    for key, data in made.items():
        mending.demand(key, data, label=STORE)
    make_root(mending.place)
    mending.restored.append(STORE_RECORD)


def _is_store(place: Place) -> bool:
    """Return whether a place without a store's record was a store."""
    return any(entry.key.endswith(split_record_key("")) for entry in place.entries())


def _repair_dump(
    mending: Mending, dump: str, split: Split, on_shard: Callable[[str, int], None] | None
) -> list[Redo]:
    """Repair one dump and return what must be dumped again."""
    try:
        mending.place.path(dump)
    except SymlinkError as error:
        mending.left.append(problem_of(error, label=dump))
        return []
    identity = repair_dump(mending, dump, split, on_shard)
    if identity is None:
        where = dump_record_key(dump)
        remedy = "Dump the model again: shards that are there are adopted."
        problem = Problem(
            dump, None, mending.place.path(where), "a record of which dump this is", "none", remedy
        )
        mending.left += [problem] if _was_touched(mending.place, dump) else []
        return []
    return [*_damaged(mending.place, identity), *_interrupted(mending, identity, split)]


def _damaged(place: Place, dump: DumpIdentity) -> Iterator[Redo]:
    """Yield the layers that repairs took out of sight and nobody dumped again."""
    for manifest, name, last in out_of_sight(place, dump.key):
        if last.reason == "damaged":
            missing = sorted(set(range(len(manifest.row_groups))) - set(last.layers[name].kept))
            address = Address(manifest.dataset, manifest.split, manifest.model, name)
            yield Redo(address, manifest.fingerprint, tuple(missing))


def _interrupted(mending: Mending, dump: DumpIdentity, split: Split) -> Iterator[Redo]:
    """Yield the layers of a dump that were never sealed, or not again, if repairs took files out of it."""
    place = mending.place
    if not _was_touched(place, dump.key):
        return
    groups = set(range(len(split.row_groups)))
    missing = [
        {group for group in groups if place.size(marker_key(dump.key, name, group)) is None}
        for name in unsealed_layer_sets(place, dump.key)
    ]
    fewest = min(missing, key=len, default=groups)
    lost = layers_of_lost_manifests(mending, dump)
    for name in dict.fromkeys([*unsealed_layers(mending, dump), *lost]):
        address = Address(dump.dataset, dump.split, dump.model, name)
        yield Redo(address, dump.fingerprint, tuple(sorted(fewest)))


def _was_touched(place: Place, dump: str) -> bool:
    """Return whether something of a dump lies in quarantine."""
    return any(f"/{dump}/" in entry.key for entry in place.entries(QUARANTINE))
