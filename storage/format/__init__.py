"""What the bytes of a store mean: keys, records, the values they hold, codecs, shards, and Zarr's metadata.

This room alone imports zarr. Its functions take and give bytes and values; only records are read from a place. What
arrays and their codecs need is imported when it is first used: whoever asks for records, such as a query, does not
wait for zarr.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from storage.format.digests import canonical, digest_of, digest_of_bytes, digest_of_ids, plain
from storage.format.keys import (
    DUMP_RECORD,
    MANIFEST_NAME,
    dump_key,
    dump_record_key,
    layer_set_key,
    manifest_key,
    marker_key,
    shard_key,
    split_key,
    split_record_key,
)
from storage.format.records import (
    content_of,
    create_record,
    forget_records,
    read_cached,
    read_record,
    record_bytes,
    settle_record,
)
from storage.format.row_groups import (
    RowGroups,
    chunk_rows,
    part_of,
    plan_split,
    row_group_bounds,
    rows_of_shard,
    runs_of,
)
from storage.format.schema import (
    FORMAT,
    JSON,
    MANIFEST,
    MARKER,
    Address,
    DumpIdentity,
    Encoding,
    FileRecord,
    LayerRecord,
    LayerSpec,
    Manifest,
    SealedLayer,
    ShardRecord,
    ShardSeal,
    layer_set_name,
)

if TYPE_CHECKING:
    from storage.format.codecs import CODECS, UndecodableError
    from storage.format.shard_bytes import (
        ChunkTable,
        chunk_digest,
        digest_address,
        read_index,
        read_table,
        shard_index,
    )
    from storage.format.zarr_arrays import (
        ArrayLayout,
        activations_metadata,
        attributes_of,
        commits_array,
        decode_vector,
        describe_array,
        dimension_names,
        encode_vector,
        group_metadata,
    )

__all__ = [
    "CODECS",
    "DUMP_RECORD",
    "FORMAT",
    "JSON",
    "MANIFEST",
    "MANIFEST_NAME",
    "MARKER",
    "Address",
    "ArrayLayout",
    "ChunkTable",
    "DumpIdentity",
    "Encoding",
    "FileRecord",
    "LayerRecord",
    "LayerSpec",
    "Manifest",
    "RowGroups",
    "SealedLayer",
    "ShardRecord",
    "ShardSeal",
    "UndecodableError",
    "activations_metadata",
    "attributes_of",
    "canonical",
    "chunk_digest",
    "chunk_rows",
    "commits_array",
    "content_of",
    "create_record",
    "decode_vector",
    "describe_array",
    "digest_address",
    "digest_of",
    "digest_of_bytes",
    "digest_of_ids",
    "dimension_names",
    "dump_key",
    "dump_record_key",
    "encode_vector",
    "forget_records",
    "group_metadata",
    "layer_set_key",
    "layer_set_name",
    "manifest_key",
    "marker_key",
    "part_of",
    "plain",
    "plan_split",
    "read_cached",
    "read_index",
    "read_record",
    "read_table",
    "record_bytes",
    "row_group_bounds",
    "rows_of_shard",
    "runs_of",
    "settle_record",
    "shard_index",
    "shard_key",
    "split_key",
    "split_record_key",
]

_HOMES = {
    "codecs": ("CODECS", "UndecodableError"),
    "shard_bytes": (
        "ChunkTable",
        "chunk_digest",
        "digest_address",
        "read_index",
        "read_table",
        "shard_index",
    ),
    "zarr_arrays": (
        "ArrayLayout",
        "activations_metadata",
        "attributes_of",
        "commits_array",
        "decode_vector",
        "describe_array",
        "dimension_names",
        "encode_vector",
        "group_metadata",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'storage.format' has no attribute {name!r}")
    return getattr(import_module(f"storage.format.{_HOME_OF[name]}"), name)
