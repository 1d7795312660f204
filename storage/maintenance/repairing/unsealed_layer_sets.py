"""Repairing what was never sealed: markers and shards of a layer set that a writer will take up again."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.commits import all_manifests, manifest_of, manifests, retirements
from storage.errors import CorruptError, NotFoundError, StoreError
from storage.format import (
    MANIFEST_NAME,
    MARKER,
    Encoding,
    LayerSpec,
    ShardRecord,
    UndecodableError,
    attributes_of,
    chunk_digest,
    describe_array,
    digest_address,
    digest_of_bytes,
    layer_set_key,
    layer_set_name,
    manifest_key,
    marker_key,
    read_index,
    read_record,
    shard_index,
)
from storage.maintenance.flags import flagged_without_manifest
from storage.place import COMMITS, QUARANTINE, decode_name, encode_name
from storage.problems import Problem, problem_of
from storage.writing import Dump, layer_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.format import ArrayLayout, DumpIdentity
    from storage.maintenance.repairing.mending import Mending
    from storage.place import Place
    from storage.splits import Split


def repair_unsealed(mending: Mending, dump: DumpIdentity, split: Split, claimed: set[str]) -> None:
    """Take out bad markers and shards, so that the dump resumes; `claimed` shards belong to manifests."""
    marked: set[str] = set()
    for layer_set in unsealed_layer_sets(mending.place, dump.key):
        for row_group in range(len(split.row_groups)):
            key = marker_key(dump.key, layer_set, row_group)
            if mending.place.size(key) is not None and not _is_stale(mending.place, dump, layer_set, key):
                marked |= _repair_marker(mending, dump, key, row_group, claimed)
    for name in mending.place.directories(dump.key):
        for entry in list(mending.place.entries(f"{dump.key}/{name}/activations")):
            below = entry.key.removeprefix(f"{dump.key}/")
            if "/c." in below and below not in claimed | marked:
                _take_out_unless_whole(mending, dump, name, below)


def settle_layers(mending: Mending, dump: DumpIdentity, split: Split, sealed: set[str]) -> None:
    """Restore the files beside the shards of layers that no reader sees; `sealed` ones are left to their manifests."""
    for name, metadata in _layers(mending, dump):
        if name in sealed:
            continue
        try:
            layout = describe_array(metadata)
            spec = LayerSpec(layout.shape[1:], layout.dtype)
        except (UndecodableError, StoreError) as error:
            key = f"{dump.key}/{encode_name(name)}/activations/zarr.json"
            others = f"others ({error})"
            mending.take_out(
                key,
                Problem(dump.label(name), None, mending.place.path(key), "an array's metadata", others, ""),
            )
            continue
        for key, data in layer_files(dump, split, name, spec, Encoding()).items():
            full = f"{dump.key}/{key}"
            if key.endswith("activations/zarr.json") or (
                key.endswith("zarr.json") and _parses(mending, full)
            ):
                continue
            mending.demand(full, data, label=dump.label(name))


def rebuild_manifest(mending: Mending, dump: DumpIdentity, split: Split, layer_set: str) -> bool:
    """Seal a layer set again whose manifest was lost, if all its markers are sound; return whether it was done."""
    place = mending.place
    try:
        first = read_record(place, marker_key(dump.key, layer_set, 0), kind=MARKER)
        specs = _specs(place, dump, first["metadata"])
        # The name of a layer set is a digest of its layers and of the generation it was begun in: the one that fits is
        # found by trying. Layers that were retired since need not have their shards.
        history = retirements(place, dump.key)
        for generation in range(len(history) + 1):
            if layer_set_name(specs, generation) == layer_set:
                gone = frozenset(name for past in history[generation:] for name in past.layers)
                Dump.taken_up(place, dump, split, layers=specs, generation=generation, gone=gone).seal()
                mending.restored.append(manifest_key(dump.key, layer_set))
                return True
    except (StoreError, UndecodableError, KeyError):
        pass
    return False


def unsealed_layer_sets(place: Place, dump: str) -> list[str]:
    """Return the layer sets of a dump without a manifest; errors as `manifest_of`."""
    return [name for name in place.directories(f"{dump}/{COMMITS}") if manifest_of(place, dump, name) is None]


def unsealed_layers(mending: Mending, dump: DumpIdentity) -> list[str]:
    """Return the layers that were set up and that no manifest names."""
    sealed = {name for manifest in all_manifests(mending.place, dump.key) for name in manifest.layers}
    return [name for name, _ in _layers(mending, dump) if name not in sealed]


def layers_of_lost_manifests(mending: Mending, dump: DumpIdentity) -> list[str]:
    """Return the layers that no reader sees because the manifest of their set was lost, as its markers name them."""
    place = mending.place
    live = {name for manifest in manifests(place, dump.key) for name in manifest.layers}
    named: dict[str, None] = {}
    for layer_set in lost_manifests(place, dump.key):
        named |= _layers_of_markers(place, dump.key, layer_set)
    return [name for name in named if name not in live]


def lost_manifests(place: Place, dump: str) -> list[str]:
    """Return the layer sets whose manifest was taken out and not made again, or removed: its layers are flagged."""
    layer_sets = set(removed_manifests(place, dump))
    for entry in place.entries(QUARANTINE):
        _, _, rest = entry.key.removeprefix(f"{QUARANTINE}/").partition(f"/{dump}/{COMMITS}/")
        layer_set, _, name = rest.partition("/")
        if name == MANIFEST_NAME and manifest_of(place, dump, layer_set) is None:
            layer_sets.add(layer_set)
    return sorted(layer_sets)


def removed_manifests(place: Place, dump: str) -> dict[str, list[str]]:
    """Return the layer sets without a manifest whose layers say that they are sealed, and the folders of these."""
    flagged = set(flagged_without_manifest(place, dump))
    removed = {}
    for layer_set in unsealed_layer_sets(place, dump) if flagged else ():
        folders = flagged.intersection(map(encode_name, _layers_of_markers(place, dump, layer_set)))
        if folders:
            removed[layer_set] = sorted(folders)
    return removed


def _layers_of_markers(place: Place, dump: str, layer_set: str) -> dict[str, None]:
    """Return the layers that the sound markers of a layer set name, each once, in their order."""
    named: dict[str, None] = {}
    for entry in place.entries(layer_set_key(dump, layer_set)):
        with suppress(StoreError, KeyError):
            named |= dict.fromkeys(read_record(place, entry.key, kind=MARKER)["metadata"])
    return named


def _layers(mending: Mending, dump: DumpIdentity) -> list[tuple[str, bytes]]:
    """Return name and array metadata of every layer that was set up."""
    layers = []
    for directory in mending.place.directories(dump.key):
        try:
            metadata = mending.place.read(f"{dump.key}/{directory}/activations/zarr.json")
            name = attributes_of(metadata).get("layer") or decode_name(directory)
        except (CorruptError, NotFoundError):
            continue
        if isinstance(name, str) and encode_name(name) == directory:
            layers.append((name, metadata))
    return layers


def _parses(mending: Mending, key: str) -> bool:
    """Return whether a file is JSON."""
    try:
        json.loads(mending.place.read(key))
    except (ValueError, CorruptError, NotFoundError):
        return False
    return True


def _specs(place: Place, dump: DumpIdentity, layers: Mapping[str, Any]) -> dict[str, LayerSpec]:
    """Return shape and dtype of layers as their arrays' metadata on the disk have them."""
    specs = {}
    for name in layers:
        layout = describe_array(place.read(f"{dump.key}/{encode_name(name)}/activations/zarr.json"))
        specs[name] = LayerSpec(layout.shape[1:], layout.dtype)
    return specs


def _is_stale(place: Place, dump: DumpIdentity, layer_set: str, marker: str) -> bool:
    """Return whether a layer set can never be taken up again, because a retirement was counted since."""
    try:
        specs = _specs(place, dump, read_record(place, marker, kind=MARKER)["metadata"])
    except (CorruptError, NotFoundError, UndecodableError, KeyError):
        return False
    return layer_set_name(specs, len(retirements(place, dump.key))) != layer_set


def _repair_marker(
    mending: Mending, dump: DumpIdentity, key: str, row_group: int, claimed: set[str]
) -> set[str]:
    """Take out a marker that is damaged, or vouches for a shard that is; return the shards it goes on to vouch for."""
    place = mending.place
    where, label = place.path(key), dump.label()
    try:
        marker = read_record(place, key, kind=MARKER)
    except (CorruptError, NotFoundError) as error:
        mending.take_out(key, problem_of(error, label=label, row_group=row_group))
        return set()
    mine = (marker["fingerprint"], marker["row_group"]) == (dump.fingerprint, row_group)
    if not mine or _is_of_other_arrays(place, dump, marker):
        mending.take_out(key, Problem(label, row_group, where, "the marker of these rows", "another one", ""))
        return set()
    records = {name: ShardRecord.from_json(record) for name, record in marker["shards"].items()}
    bad = {name: record.key for name, record in records.items() if not _matches(place, dump, name, record)}
    for name, shard in bad.items():
        if shard not in claimed:
            full = f"{dump.key}/{shard}"
            found = Problem(
                dump.label(name), row_group, place.path(full), "the shard of its marker", "others", ""
            )
            mending.take_out(full, found)
    if bad:
        found = Problem(label, row_group, where, "sound shards", f"damaged ones of {', '.join(bad)}", "")
        mending.take_out(key, found)
        return set()
    return {record.key for record in records.values()}


def _matches(place: Place, dump: DumpIdentity, layer: str, record: ShardRecord) -> bool:
    """Return whether a shard holds, byte for byte, what its record says; its index only where the array is there."""
    try:
        data = memoryview(place.read(f"{dump.key}/{record.key}"))
    except (CorruptError, NotFoundError):
        return False
    address = digest_address(dump.fingerprint, record.key)
    table = record.chunks
    spans = zip(table.starts, table.n_bytes, table.digests, strict=True)
    sound = len(data) == record.n_bytes and all(
        chunk_digest(address, chunk, data[start : start + length]) == digest
        for chunk, (start, length, digest) in enumerate(spans)
    )
    metadata = _metadata(place, dump, layer)
    if metadata is None or not sound:
        return sound
    return data[sum(table.n_bytes) :] == shard_index(table, describe_array(metadata).n_chunks)


def _metadata(place: Place, dump: DumpIdentity, layer: str) -> bytes | None:
    """Return the metadata of a layer's array, or None where it was taken out."""
    try:
        return place.read(f"{dump.key}/{encode_name(layer)}/activations/zarr.json")
    except NotFoundError:
        return None


def _is_of_other_arrays(place: Place, dump: DumpIdentity, marker: Mapping[str, Any]) -> bool:
    """Return whether an array was made again with another encoding since its shards were marked."""
    return any(
        digest_of_bytes(metadata) != digest
        for name, digest in marker["metadata"].items()
        if (metadata := _metadata(place, dump, name)) is not None
    )


def _take_out_unless_whole(mending: Mending, dump: DumpIdentity, directory: str, shard: str) -> None:
    """Take out a shard that nothing vouches for and that cannot be decoded: no writer could adopt it."""
    key = f"{dump.key}/{shard}"
    try:
        layout = describe_array(mending.place.read(f"{dump.key}/{directory}/activations/zarr.json"))
        if _decodes(mending.place.read(key), layout):
            return
    except (NotFoundError, UndecodableError):
        return
    except CorruptError:
        pass
    mending.take_out(key, Problem(dump.label(), None, key, "a whole shard", "bytes that do not decode", ""))


def _decodes(data: bytes, layout: ArrayLayout) -> bool:
    """Return whether every chunk of a shard can be decoded."""
    scratch = np.empty((layout.chunk_rows, *layout.shape[1:]), layout.dtype)
    try:
        for start, stop in read_index(data, layout.n_chunks):
            layout.codec.decode(memoryview(data)[start:stop], scratch, check=True)
    except UndecodableError:
        return False
    return True
