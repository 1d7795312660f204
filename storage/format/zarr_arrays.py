"""Metadata of Zarr arrays and groups, and small arrays as files. The only module that imports zarr.

zarr-python writes and reads the metadata; what it names (codecs, the index of a shard) is `storage.format.codecs` and
`storage.format.shard_bytes`, because shards are built chunk by chunk and read by checked chunks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.vlen import VLenUTF8
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.core.group import GroupMetadata
from zarr.storage import MemoryStore

from storage.format.codecs import ChunkCodec, UndecodableError, chunk_codec, codec_chain
from storage.format.schema import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from storage.format.codecs import CodecName
    from storage.format.schema import LayerSpec

_DIMENSIONS = {1: ("feature",), 2: ("token", "feature"), 3: ("channel", "y", "x")}
_METADATA = "zarr.json"
_CONFIG: Any = {"write_empty_chunks": True}


@dataclass(frozen=True)
class ArrayLayout:
    """What an activations array's ``zarr.json`` says: shape, dtype, rows of a shard and of a chunk, codec."""

    shape: tuple[int, ...]
    dtype: str
    shard_rows: int
    chunk_rows: int
    codec: ChunkCodec

    @property
    def n_chunks(self) -> int:
        """Chunks of a shard."""
        return self.shard_rows // self.chunk_rows


def dimension_names(sample_shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the dimension names of an array of samples of `sample_shape`, first ``sample``."""
    return ("sample", *_DIMENSIONS[len(sample_shape)])


def group_metadata(attributes: Mapping[str, Any]) -> bytes:
    """Return the ``zarr.json`` of a group."""
    group = GroupMetadata(attributes=dict(attributes), zarr_format=3)
    return group.to_buffer_dict(default_buffer_prototype())[_METADATA].to_bytes()


def activations_metadata(
    spec: LayerSpec,
    *,
    n_samples: int,
    rows: int,
    chunk_rows: int,
    codec: CodecName,
    attributes: Mapping[str, Any],
) -> bytes:
    """Return the ``zarr.json`` of a layer's array ``(n_samples, *spec.shape)``.

    One shard is one row group of `rows` samples, cut into chunks of `chunk_rows`, a divisor. What was never written
    reads as NaN.
    """
    memory = MemoryStore()
    chain = codec_chain(codec, np.dtype(spec.dtype).itemsize)
    zarr.create_array(
        memory,
        shape=(n_samples, *spec.shape),
        dtype=spec.dtype,
        shards=(rows, *spec.shape),
        chunks=(chunk_rows, *spec.shape),
        compressors=chain,
        fill_value=float("nan"),
        dimension_names=dimension_names(spec.shape),
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=dict(attributes),
        config=_CONFIG,
        zarr_format=3,
    )
    return _bytes_of(memory)[_METADATA]


@lru_cache(maxsize=256)
def describe_array(metadata: bytes) -> ArrayLayout:
    """Return what an activations array's ``zarr.json`` says.

    Raises
    ------
    UndecodableError
        This is not the metadata of such an array.
    """
    try:
        array = zarr.open_array(
            MemoryStore({_METADATA: cpu.Buffer.from_bytes(metadata)}, read_only=True), mode="r"
        )
        shards = array.shards
        if shards is None or shards[1:] != array.shape[1:] or array.chunks[1:] != array.shape[1:]:
            raise UndecodableError("shards are not whole row groups")
        (sharding,) = json.loads(metadata)["codecs"]
        if sharding["configuration"].get("index_location", "end") != "end":
            raise UndecodableError("an index that is not at the end of its shard")
        codec = chunk_codec(sharding["configuration"]["codecs"])
        return ArrayLayout(array.shape, array.dtype.name, shards[0], array.chunks[0], codec)
    except (ValueError, TypeError, KeyError, RuntimeError, FileNotFoundError) as error:
        raise UndecodableError(str(error)) from error


def encode_vector(values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a small array in one chunk along ``sample``, or of a scalar; text as UTF-8."""
    is_text = values.dtype.kind in "UTO"
    dtype = "string" if is_text else values.dtype.str
    files = {_METADATA: _vector_metadata(values.shape, dtype, json.dumps(dict(attributes)))}
    if values.size:
        little = values.astype(object) if is_text else values.astype(values.dtype.newbyteorder("<"))
        body = bytes(VLenUTF8().encode(little.reshape(-1)) if is_text else little.tobytes())
        crc: int = google_crc32c.value(body)
        files["c/0" if values.ndim else "c"] = body + crc.to_bytes(4, "little")
    return files


@lru_cache(maxsize=64)
def _vector_metadata(shape: tuple[int, ...], dtype: str, attributes: str) -> bytes:
    """Return the ``zarr.json`` of a small array: the arrays of many splits differ in their values alone."""
    memory = MemoryStore()
    zarr.create_array(
        memory,
        shape=shape,
        dtype=str if dtype == "string" else np.dtype(dtype),
        chunks=shape,
        compressors=[Crc32cCodec()],
        dimension_names=("sample",) * len(shape),
        attributes=json.loads(attributes),
        config=_CONFIG,
        zarr_format=3,
    )
    return _bytes_of(memory)[_METADATA]


def decode_vector(files: Mapping[str, bytes]) -> npt.NDArray[Any]:
    """Return the values of a small array out of its files, as `encode_vector` gave them.

    Raises
    ------
    UndecodableError
        They are not the files of such an array, or its checksum does not hold.
    """
    memory = MemoryStore({name: cpu.Buffer.from_bytes(data) for name, data in files.items()}, read_only=True)
    try:
        return np.asarray(zarr.open_array(memory, mode="r")[...])
    except (ValueError, TypeError, KeyError, RuntimeError, FileNotFoundError) as error:
        raise UndecodableError(str(error)) from error


@cache
def commits_array() -> Mapping[str, bytes]:
    """Return the scalar array below which records lie; its value is the format's version."""
    return encode_vector(np.array(FORMAT), {"about": "records of the commit protocol lie below"})


def attributes_of(metadata: bytes) -> dict[str, Any]:
    """Return the attributes in a ``zarr.json``; empty where they cannot be read."""
    try:
        content = json.loads(metadata)
        return dict(content["attributes"])
    except (ValueError, TypeError, KeyError):
        return {}


def _bytes_of(memory: MemoryStore) -> dict[str, bytes]:
    """Return what was written to memory."""
    return {key: data.to_bytes() for key, data in memory._store_dict.items()}  # noqa: SLF001
