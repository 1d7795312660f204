"""The manifest that follows from the markers of a layer set, once every row group has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.format import LayerRecord, Manifest, ShardRecord
from storage.writing.dump_arrays import group_records, layer_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.commits import Markers
    from storage.format import LayerSpec


def manifest_of_markers(
    markers: Markers,
    contents: Sequence[Mapping[str, Any]],
    *,
    layers: Mapping[str, LayerSpec],
    metadata: Mapping[str, bytes],
    generation: int,
) -> Manifest:
    """Return the manifest of the layer set whose markers hold `contents`, in the order of row groups.

    `metadata` is the ``zarr.json`` of each layer's array, `generation` how many retirements it was begun after.

    Raises
    ------
    CorruptError
        A file beside the shards reads otherwise every time.
    """
    runs: list[dict[str, Any]] = []
    for marker in contents:
        if marker["provenance"] not in runs:
            runs.append(marker["provenance"])
    split, dump = markers.split, markers.dump
    start, stop = split.row_groups[0]
    return Manifest(
        dataset=split.dataset,
        split=split.name,
        model=dump.model,
        fingerprint=dump.fingerprint,
        identity=dump.identity,
        provenance=tuple(runs),
        sample_digest=split.sample_digest,
        n_samples=split.n_samples,
        rows_per_group=stop - start,
        generation=generation,
        layer_set=markers.layer_set,
        layers={name: _layer(markers, contents, name, spec, metadata[name]) for name, spec in layers.items()},
        files=group_records(markers.place, dump),
    )


def _layer(
    markers: Markers,
    contents: Sequence[Mapping[str, Any]],
    layer: str,
    spec: LayerSpec,
    metadata: bytes,
) -> LayerRecord:
    """Return one layer's entry in the manifest."""
    return LayerRecord(
        layer=layer,
        shape=spec.shape,
        dtype=spec.dtype,
        metadata=metadata.decode(),
        shards=tuple(ShardRecord.from_json(marker["shards"][layer]).seal() for marker in contents),
        files=layer_records(markers.place, markers.dump, markers.split, layer, metadata=metadata),
    )
