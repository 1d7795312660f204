"""Repairing what a manifest vouches for: files beside the shards, markers, and which shards are sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.commits import Markers
from storage.errors import CorruptError, NotFoundError
from storage.format import (
    DUMP_RECORD,
    MARKER,
    Encoding,
    ShardRecord,
    UndecodableError,
    describe_array,
    digest_address,
    digest_of,
    read_record,
    read_table,
    record_bytes,
)
from storage.place import encode_name
from storage.problems import Problem, problem_of
from storage.reading import ShardReader
from storage.writing import group_files, layer_files, sealed_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.format import DumpIdentity, LayerRecord, Manifest
    from storage.maintenance.repairing.mending import Mending
    from storage.place import Place
    from storage.splits import Split


@dataclass(frozen=True)
class Claim:
    """A manifest, and the row groups of its layers that somebody relies on; `live` layers are those readers see."""

    manifest: Manifest
    row_groups: Mapping[str, tuple[int, ...]]
    live: frozenset[str]


def repair_claim(
    mending: Mending,
    dump: DumpIdentity,
    split: Split,
    claim: Claim,
    on_shard: Callable[[str, int], None] | None,
) -> dict[str, set[int]]:
    """Restore what can be restored; return layer → row groups to dump again.

    A layer with an empty set has sound shards but must be sealed again: a file beside them is made otherwise by now.
    """
    bad: dict[str, set[int]] = {name: set() for name in _settle_beside(mending, dump, split, claim)}
    for row_group in sorted({group for groups in claim.row_groups.values() for group in groups}):
        for name in _unsound_shards(mending, dump, split, claim, row_group, on_shard):
            bad.setdefault(name, set()).add(row_group)
    return bad


def _settle_beside(mending: Mending, dump: DumpIdentity, split: Split, claim: Claim) -> set[str]:
    """Restore the files beside the shards of live layers; return the layers whose records must be made again."""
    if not claim.live:
        return set()
    about = {"model": dump.model, "fingerprint": dump.fingerprint, "identity": dump.identity}
    made = {**group_files(dump), DUMP_RECORD: record_bytes("dump", about)}
    whole = mending.settle_all(dump.key, claim.manifest.files, made, label=dump.label())
    again = set() if whole else set(claim.live)
    for name in claim.live:
        layer = claim.manifest.layers[name]
        below = encode_name(name)
        made = layer_files(dump, split, name, claim.manifest.specs[name], Encoding())
        made[f"{below}/activations/zarr.json"] = layer.metadata.encode()
        if not mending.settle_all(dump.key, layer.files, made, label=dump.label(name)):
            again.add(name)
        mending.demand(f"{dump.key}/{below}/sealed/c", sealed_flag()["c"], label=dump.label(name))
    return again


def _unsound_shards(
    mending: Mending,
    dump: DumpIdentity,
    split: Split,
    claim: Claim,
    row_group: int,
    on_shard: Callable[[str, int], None] | None,
) -> set[str]:
    """Return the layers whose shard of a row group is damaged, each in quarantine; the marker is sound or gone."""
    unsound: set[str] = set()
    layers = {name for name, groups in claim.row_groups.items() if row_group in groups}
    # The marker holds the digests that chunks are checked by, so it must be sound first. Where it was made again from
    # the shards themselves, a layer that it does not speak for is the damaged one.
    rebuilt = _settle_marker(mending, dump, split, claim.manifest, row_group, layers)
    for name in sorted(layers):
        reader = _reader(mending.place, dump, claim.manifest, name, row_group)
        try:
            if rebuilt is not None and name not in rebuilt:
                raise CorruptError(
                    representation=reader.label,
                    row_group=row_group,
                    file=mending.place.path(reader.key),
                    expected="the shard that the manifest committed",
                    found="another one, or none",
                )
            reader.verify(range)
        except (CorruptError, NotFoundError) as error:
            mending.take_out(reader.key, problem_of(error, label=reader.label, row_group=row_group))
            unsound.add(name)
        if on_shard is not None:
            on_shard(reader.label, reader.seal.n_bytes)
    return unsound


def _reader(place: Place, dump: DumpIdentity, manifest: Manifest, layer: str, row_group: int) -> ShardReader:
    """Return what reads, and checks, the shard of a row group of a layer."""
    return ShardReader(
        place=place,
        dump=dump.key,
        fingerprint=dump.fingerprint,
        layer_set=manifest.layer_set,
        label=dump.label(layer),
        record=manifest.layers[layer],
        row_group=row_group,
        check=True,
    )


def _settle_marker(
    mending: Mending, dump: DumpIdentity, split: Split, manifest: Manifest, row_group: int, layers: set[str]
) -> set[str] | None:
    """Rebuild a damaged marker from sound shards; return the layers it now vouches for, or None if it was sound."""
    markers = Markers(mending.place, dump, split, manifest.layer_set)
    key = markers.key(row_group)
    found = "the record of other shards"
    try:
        shards = read_record(mending.place, key, kind=MARKER)["shards"]
        if all(_is_record(shards.get(name), manifest.layers[name], row_group) for name in layers):
            return None
        problem = Problem(
            dump.label(), row_group, mending.place.path(key), "the marker of this row group", found, ""
        )
    except (CorruptError, NotFoundError) as error:
        problem = problem_of(error, label=dump.label(), row_group=row_group)
    # The manifest holds the digest of each shard's record. A record that follows from the shard's bytes and has this
    # digest is the one that was lost: so the shards prove their own marker.
    records = {
        name: record
        for name, layer in manifest.layers.items()
        if (record := _record_of_shard(mending.place, dump, layer, row_group)) is not None
    }
    mending.take_out(key, problem)
    if records:
        metadata = {name: layer.metadata.encode() for name, layer in manifest.layers.items()}
        markers.create(row_group, records, metadata=metadata, provenance=_provenance(manifest))
        mending.restored.append(key)
    return set(records)


def _is_record(record: Mapping[str, Any] | None, layer: LayerRecord, row_group: int) -> bool:
    """Return whether a marker's entry is the one that the manifest committed."""
    return record is not None and digest_of(record) == layer.shards[row_group].digest


def _provenance(manifest: Manifest) -> Mapping[str, Any]:
    """Return what a marker that is made again says of the runs that wrote its shards."""
    runs = manifest.provenance
    return runs[0] if len(runs) == 1 else {"rebuilt": "by a repair, out of several runs", "runs": list(runs)}


def _record_of_shard(
    place: Place, dump: DumpIdentity, layer: LayerRecord, row_group: int
) -> ShardRecord | None:
    """Return the record of a shard out of its bytes, or None unless the manifest committed exactly these."""
    seal = layer.shards[row_group]
    layout = describe_array(layer.metadata.encode())
    try:
        data = place.read(f"{dump.key}/{seal.key}")
        table = read_table(data, layout.n_chunks, digest_address(dump.fingerprint, seal.key))
    except (CorruptError, NotFoundError, UndecodableError):
        return None
    record = ShardRecord(seal.key, len(data), seal.n_rows, seal.absmax, table)
    return record if _is_record(record.to_json(), layer, row_group) else None
