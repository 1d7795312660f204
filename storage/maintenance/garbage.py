"""Garbage: what was never committed and nobody works on any more. Found first, removed when asked.

Splits, manifests, whatever a live manifest vouches for, what a repair keeps for the next dump, and summaries (but those
of work in progress) are no garbage.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.commits import all_manifests, manifests, out_of_sight
from storage.errors import StoreError
from storage.format import DUMP_RECORD, MANIFEST_NAME, MARKER, read_record
from storage.place import COMMITS, LEASE_S, PARTIAL, QUARANTINE, encode_name
from storage.summaries import SUMMARIES, WORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.place import Entry, Place

_WORK = f"{SUMMARIES}/{WORK}"

_MARKERS, _SHARDS, _REST, _IDENTITY = range(4)


@dataclass(frozen=True, order=True)
class Leftover:
    """A file to remove: `stage` is when (markers, shards, the rest), `why` what it was, `entry` size and age."""

    stage: int
    entry: Entry
    why: str


@dataclass(frozen=True)
class DumpGarbage:
    """The leftovers of one dump, in the order of removal.

    `records` are the keys of its records when it was looked at: a new one means that a writer came.
    """

    dump: str
    newest_s: float
    records: frozenset[str]
    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True)
class Garbage:
    """What can be removed from a store.

    Attributes
    ----------
    partial
        Unfinished files of writers that are gone.
    work
        Summaries of work in progress that nobody goes on with.
    dumps
        Leftovers of abandoned dumps.
    quarantined
        What repairs took out; removed only when asked.
    in_use
        Dumps with leftovers that may have a living writer, and when each was last modified (seconds since the epoch).
    """

    place: Place
    partial: tuple[Entry, ...]
    work: tuple[Entry, ...]
    dumps: tuple[DumpGarbage, ...]
    quarantined: tuple[Entry, ...]
    in_use: tuple[tuple[str, float], ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of all but the quarantine."""
        entries = [leftover.entry for dump in self.dumps for leftover in dump.leftovers]
        return sum(entry.n_bytes for entry in [*self.partial, *self.work, *entries])

    def remove(self, *, quarantined: bool = False) -> int:
        """Remove it; return the bytes that were removed. Idempotent; a crash leaves a store as correct as before.

        In each dump markers go first, so that none speaks of a shard that is gone, then shards, then the rest. Before
        each removal the dump's records are listed: where one appeared, a writer is at work and the dump is left to
        it. What the writer had marked of the shards that were removed just then loses its marker and is dumped again.

        Raises
        ------
        WriteError
            The place refused.

        Notes
        -----
        One listing of a dump's records per file.
        """
        n_bytes = sum(_remove_from(self.place, dump) for dump in self.dumps)
        there = {
            (entry.key, entry.modified_s) for home in (PARTIAL, _WORK) for entry in self.place.entries(home)
        }
        for entry in (*self.partial, *self.work, *(self.quarantined if quarantined else ())):
            if entry.key.startswith(f"{QUARANTINE}/") or (entry.key, entry.modified_s) in there:
                self.place.remove(entry.key)
                n_bytes += entry.n_bytes
        return n_bytes


def find_garbage(place: Place, *, older_than_s: float = LEASE_S, now_s: float | None = None) -> Garbage:
    """Return what was never committed and is not in use; removes nothing.

    Unfinished files; summaries of work in progress; markers and shards of layer sets that were never sealed; dumps and
    layers without any manifest; shards that an eviction left behind. A dump with a damaged manifest or retirement, or
    with a manifest in quarantine that was not made again, is left alone: repair it and dump again first.

    Parameters
    ----------
    older_than_s
        The lease: a dump is abandoned when none of its files was modified for so long, an unfinished file or a summary
        of work in progress likewise.
        A writer that needs longer for one row group is taken for dead.
    now_s
        Seconds since the epoch; default: now.

    Notes
    -----
    One listing of the store, and every manifest.
    """
    limit = (time.time() if now_s is None else now_s) - older_than_s
    partial: list[Entry] = []
    work: list[Entry] = []
    quarantined: list[Entry] = []
    by_dump: dict[str, list[Entry]] = defaultdict(list)
    for entry in place.entries():
        parts = entry.key.split("/")
        if entry.key.startswith(f"{PARTIAL}/"):
            partial += [entry] if entry.modified_s <= limit else []
        elif entry.key.startswith(f"{_WORK}/"):
            work += [entry] if entry.modified_s <= limit else []
        elif entry.key.startswith(f"{QUARANTINE}/"):
            quarantined.append(entry)
        elif len(parts) > 3 and parts[0] != COMMITS and "~" in parts[2]:
            by_dump["/".join(parts[:3])].append(entry)
    abandoned: list[DumpGarbage] = []
    in_use: list[tuple[str, float]] = []
    held = {entry.key.split("/", 3)[3] for entry in quarantined if entry.key.endswith(f"/{MANIFEST_NAME}")}
    for dump, entries in sorted(by_dump.items()):
        leftovers = _leftovers(place, dump, entries, held)
        newest = max(entry.modified_s for entry in entries)
        if leftovers and newest > limit:
            in_use.append((dump, newest))
        elif leftovers:
            records = frozenset(e.key for e in entries if e.key.startswith(f"{dump}/{COMMITS}/"))
            abandoned.append(DumpGarbage(dump, newest, records, leftovers))
    return Garbage(
        place, tuple(partial), tuple(work), tuple(abandoned), tuple(sorted(quarantined)), tuple(in_use)
    )


@dataclass(frozen=True)
class _Claims:
    """What the records of a dump vouch for."""

    layer_sets: frozenset[str]
    layers: frozenset[str]
    shards: frozenset[str]


def _claims(place: Place, dump: str) -> _Claims:
    """Return what is committed of a dump, or kept for the next dump."""
    sealed = list(all_manifests(place, dump))
    shards = [s.key for m in manifests(place, dump) for record in m.layers.values() for s in record.shards]
    for manifest, name, last in out_of_sight(place, dump):
        shards += [manifest.layers[name].shards[group].key for group in last.layers[name].kept]
    return _Claims(
        layer_sets=frozenset(manifest.layer_set for manifest in sealed),
        layers=frozenset(encode_name(name) for manifest in sealed for name in manifest.layers),
        shards=frozenset(shards),
    )


def _leftovers(place: Place, dump: str, entries: list[Entry], held: set[str]) -> tuple[Leftover, ...]:
    """Return the garbage of one dump, in the order of removal."""
    try:
        claims = _claims(place, dump)
    except StoreError:
        return ()
    # A manifest in quarantine that was not made again: the shards that it named look like garbage but are not.
    there = {entry.key for entry in entries}
    if any(key.startswith(f"{dump}/") and key not in there for key in held):
        return ()
    leftovers = []
    for entry in entries:
        judged = _judge(entry.key.removeprefix(f"{dump}/"), claims)
        if judged is not None:
            leftovers.append(Leftover(judged[0], entry, judged[1]))
    return tuple(sorted(leftovers))


def _judge(key: str, claims: _Claims) -> tuple[int, str] | None:
    """Return when to remove a file of a dump, and why; None where it stays. `key` is relative to the dump."""
    top, *below = key.split("/")
    if top == COMMITS and len(below) == 2 and below[0] not in claims.layer_sets:
        return _MARKERS, "a layer set that was never sealed"
    if len(below) == 2 and below[0] == "activations" and below[1].startswith("c."):
        return None if key in claims.shards else (_SHARDS, "a shard that no manifest names")
    if not claims.layer_sets:
        return (_IDENTITY if key == DUMP_RECORD else _REST), "a dump without any manifest"
    if top != COMMITS and below and top not in claims.layers:
        return _REST, "a layer without any manifest"
    return None


def _remove_from(place: Place, garbage: DumpGarbage) -> int:
    """Remove the leftovers of one dump as long as no writer comes; return their bytes."""
    removed: set[str] = set()
    n_bytes = 0
    for leftover in garbage.leftovers:
        # There is no lock. A writer that comes back first reads or makes a record, so a new one ends the removal.
        if any(_new_records(place, garbage)):
            break
        place.remove(leftover.entry.key)
        n_bytes += leftover.entry.n_bytes
        removed.add(leftover.entry.key.removeprefix(f"{garbage.dump}/"))
    # It may have marked a shard that was removed between that look and now: such a marker must not stay.
    for key in _new_records(place, garbage):
        _demand_shards_of(place, key, removed)
    return n_bytes


def _new_records(place: Place, garbage: DumpGarbage) -> Iterator[str]:
    """Yield the records of a dump that were not there when it was looked at."""
    for entry in place.entries(f"{garbage.dump}/{COMMITS}"):
        if entry.key not in garbage.records:
            yield entry.key


def _demand_shards_of(place: Place, marker: str, removed: set[str]) -> None:
    """Remove a new marker that vouches for a shard that was removed a moment before, unless it is sealed."""
    home, _, name = marker.rpartition("/")
    if not name.startswith("row-group-") or place.size(f"{home}/{MANIFEST_NAME}") is not None:
        return
    shards = read_record(place, marker, kind=MARKER)["shards"]
    if any(shard["key"] in removed for shard in shards.values()):
        place.remove(marker)
