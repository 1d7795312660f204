"""The groups, arrays and coordinates of a dump: what a reader of plain Zarr finds around the shards."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from storage.errors import ConflictError, CorruptError
from storage.format import (
    DUMP_RECORD,
    FileRecord,
    UndecodableError,
    activations_metadata,
    chunk_rows,
    commits_array,
    describe_array,
    encode_vector,
    group_metadata,
)
from storage.place import COMMITS, encode_name, read_confirmed
from storage.splits import sample_coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.format import DumpIdentity, Encoding, LayerSpec
    from storage.place import Place
    from storage.splits import Split


def set_up_layers(
    place: Place, dump: DumpIdentity, split: Split, layers: Mapping[str, LayerSpec], *, encoding: Encoding
) -> dict[str, bytes]:
    """Create what is missing of a dump's groups and arrays; return the ``zarr.json`` of each layer's array.

    Idempotent, and safe beside other writers: what is there is kept, and its metadata is what shards are
    encoded by, whichever version wrote it.

    Raises
    ------
    ConflictError
        A layer is there with another shape, dtype or row groups.
    """
    for name, data in group_files(dump).items():
        place.create(f"{dump.key}/{name}", data)
    metadata = {}
    for layer, spec in layers.items():
        files = layer_files(dump, split, layer, spec, encoding)
        for key, data in files.items():
            place.create(f"{dump.key}/{key}", data)
        array = f"{encode_name(layer)}/activations/zarr.json"
        metadata[layer] = read_confirmed(place, f"{dump.key}/{array}", wanted=files[array])
        _demand_spec(dump.label(layer), metadata[layer], split, spec)
    return metadata


def flag_sealed(place: Place, dump: DumpIdentity, layers: Iterable[str]) -> None:
    """Set the scalar ``sealed`` beside each layer's activations: a courtesy to readers of plain Zarr."""
    for layer in layers:
        for name, data in sealed_flag().items():
            place.create(f"{dump.key}/{encode_name(layer)}/sealed/{name}", data)


@cache
def sealed_flag() -> Mapping[str, bytes]:
    """Return the files of the scalar that says True; without its chunk it reads False."""
    return encode_vector(np.array(True), {})


def group_records(place: Place, dump: DumpIdentity) -> tuple[FileRecord, ...]:
    """Return size and digest of the files of a dump's own group, as they lie on the disk."""
    wanted = {**group_files(dump), DUMP_RECORD: None}
    return tuple(
        FileRecord.of(name, read_confirmed(place, f"{dump.key}/{name}", wanted=data))
        for name, data in wanted.items()
    )


def layer_records(
    place: Place, dump: DumpIdentity, split: Split, layer: str, *, metadata: bytes
) -> tuple[FileRecord, ...]:
    """Return size and digest of the files beside a layer's shards, as they lie on the disk.

    `metadata` is the ``zarr.json`` of its array.

    Raises
    ------
    CorruptError
        A coordinate does not hold the split's values.
    """
    below = encode_name(layer)
    records = []
    own = {
        "": group_metadata({"layer": layer}),
        "activations/": metadata,
        "sealed/": sealed_flag()["zarr.json"],
    }
    for array, expected in own.items():
        name = f"{below}/{array}zarr.json"
        data = read_confirmed(place, f"{dump.key}/{name}", wanted=expected)
        records.append(FileRecord.of(name, data))
    for array, content in sample_coordinates(split).items():
        for name, wanted in content.items():
            key = f"{dump.key}/{below}/{array}/{name}"
            data = read_confirmed(place, key, wanted=wanted)
            if name != "zarr.json" and data != wanted:
                raise CorruptError(
                    representation=dump.label(layer),
                    row_group=None,
                    file=place.path(key),
                    expected=f"the split's {array}",
                    found="other bytes",
                    remedy="Repair the store and run again.",
                )
            records.append(FileRecord.of(f"{below}/{array}/{name}", data))
    return tuple(records)


def group_files(dump: DumpIdentity) -> dict[str, bytes]:
    """Return the files of a dump's own group."""
    about = {
        "dataset": dump.dataset,
        "split": dump.split,
        "model": dump.model,
        "fingerprint": dump.fingerprint,
        "identity": dump.identity,
    }
    home = {f"{COMMITS}/{name}": data for name, data in commits_array().items()}
    return {"zarr.json": group_metadata(about), **home}


def layer_files(
    dump: DumpIdentity, split: Split, layer: str, spec: LayerSpec, encoding: Encoding
) -> dict[str, bytes]:
    """Return the files of a layer's group that are there before its first shard; ``sealed`` reads False."""
    start, stop = split.row_groups[0]
    coordinates = sample_coordinates(split)
    array = activations_metadata(
        spec,
        n_samples=split.n_samples,
        rows=stop - start,
        chunk_rows=chunk_rows(stop - start, spec.sample_bytes, target_bytes=encoding.chunk_bytes),
        codec=encoding.codec,
        attributes={"coordinates": " ".join(coordinates), "layer": layer, "fingerprint": dump.fingerprint},
    )
    below = encode_name(layer)
    made = {
        f"{below}/zarr.json": group_metadata({"layer": layer}),
        f"{below}/activations/zarr.json": array,
        f"{below}/sealed/zarr.json": sealed_flag()["zarr.json"],
    }
    for name, content in coordinates.items():
        made |= {f"{below}/{name}/{key}": data for key, data in content.items()}
    return made


def _demand_spec(label: str, metadata: bytes, split: Split, spec: LayerSpec) -> None:
    """Refuse an array that was set up otherwise."""
    start, stop = split.row_groups[0]
    wanted = ((split.n_samples, *spec.shape), spec.dtype, stop - start)
    try:
        found = describe_array(metadata)
    except UndecodableError as error:
        raise _conflict(label, wanted, f"metadata that cannot be read ({error})") from error
    if (found.shape, found.dtype, found.shard_rows) != wanted:
        form = f"shape {found.shape}, {found.dtype}, shards of {found.shard_rows} rows"
        raise _conflict(label, wanted, form)


def _conflict(label: str, wanted: tuple[tuple[int, ...], str, int], found: str) -> ConflictError:
    """Return the error for a layer that is there in another form."""
    return ConflictError(
        where=label,
        expected=f"shape {wanted[0]}, {wanted[1]}, shards of {wanted[2]} rows",
        found=found,
        remedy="Record what differs (dtype, capture) in the dump's identity, so that it becomes another dump.",
    )
