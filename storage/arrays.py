"""Zarr arrays as keys and bytes: the codec of the store. The only module that imports zarr.

Arrays are encoded in memory, so that every byte that reaches the disk goes through `storage.files` (created
once, durable), and decoded from bytes that were checked first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore

from storage.layout import chunk_rows, dimension_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from storage.schema import LayerSpec

_METADATA = "zarr.json"
_CONFIG: Any = {"write_empty_chunks": True}


class UndecodableError(Exception):
    """Bytes are not what the codecs wrote; callers know which file they came from and say so."""


def group_metadata(attributes: Mapping[str, Any]) -> bytes:
    """Return the ``zarr.json`` of a group."""
    place = MemoryStore()
    zarr.create_group(place, attributes=dict(attributes), zarr_format=3)
    return _bytes_of(place)[_METADATA]


def activations_metadata(
    spec: LayerSpec, *, n_samples: int, rows: int, attributes: Mapping[str, Any]
) -> bytes:
    """Return the ``zarr.json`` of a layer's array ``(n_samples, *spec.shape)``.

    One shard is one row group of `rows` samples; inner chunks divide it (`layout.chunk_rows`), compressed by
    Blosc (LZ4 after a bit shuffle) and closed by a CRC-32C. What was never written reads as NaN.
    """
    place = MemoryStore()
    itemsize = np.dtype(spec.dtype).itemsize
    zarr.create_array(
        place,
        shape=(n_samples, *spec.shape),
        dtype=spec.dtype,
        shards=(rows, *spec.shape),
        chunks=(chunk_rows(rows, spec.sample_bytes), *spec.shape),
        compressors=[
            BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=itemsize),
            Crc32cCodec(),
        ],
        fill_value=float("nan"),
        dimension_names=dimension_names(spec.shape),
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=dict(attributes),
        config=_CONFIG,
        zarr_format=3,
    )
    return _bytes_of(place)[_METADATA]


def describe(metadata: bytes) -> tuple[tuple[int, ...], str, int]:
    """Return shape, dtype and rows of a shard of an activations array.

    Raises
    ------
    UndecodableError
        This is not the metadata of such an array.
    """
    try:
        array = _open({_METADATA: metadata})
        shards = array.shards
        if shards is None or shards[1:] != array.shape[1:]:
            raise UndecodableError("shards are not whole row groups")
        return array.shape, array.dtype.name, shards[0]
    except (ValueError, TypeError, KeyError, RuntimeError, FileNotFoundError) as error:
        raise UndecodableError(str(error)) from error


def encode_shard(metadata: bytes, bounds: tuple[int, int], block: npt.NDArray[Any]) -> bytes:
    """Return the shard that holds rows ``bounds`` of the array: `block`, whole.

    One copy of the block while it is encoded.
    """
    place = MemoryStore({_METADATA: cpu.Buffer.from_bytes(metadata)})
    zarr.open_array(place, mode="r+", config=_CONFIG)[bounds[0] : bounds[1]] = block
    (data,) = (data for key, data in _bytes_of(place).items() if key != _METADATA)
    return data


def decode_shard(metadata: bytes, key: str, data: bytes, rows: slice) -> npt.NDArray[Any]:
    """Return `rows` (positions in the whole array) out of one shard's bytes; other chunks are not decoded.

    Raises
    ------
    UndecodableError
        The codecs or their checksums refuse the bytes.
    """
    try:
        return np.asarray(_open({_METADATA: metadata, key: data})[rows])
    except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
        raise UndecodableError(str(error)) from error


def encode_vector(values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a small array in one chunk along ``sample``, or of a scalar; text as UTF-8."""
    place = MemoryStore()
    array = zarr.create_array(
        place,
        shape=values.shape,
        dtype=str if values.dtype.kind in "UTO" else values.dtype,
        chunks=values.shape,
        compressors=[Crc32cCodec()],
        dimension_names=("sample",) * values.ndim,
        attributes=dict(attributes),
        config=_CONFIG,
        zarr_format=3,
    )
    array[...] = values
    return _bytes_of(place)


def _open(content: Mapping[str, bytes]) -> zarr.Array[Any]:
    """Open an array that lies in memory."""
    place = MemoryStore({key: cpu.Buffer.from_bytes(data) for key, data in content.items()}, read_only=True)
    return zarr.open_array(place, mode="r")


def _bytes_of(place: MemoryStore) -> dict[str, bytes]:
    """Return what was written to memory."""
    return {key: data.to_bytes() for key, data in place._store_dict.items()}  # noqa: SLF001
