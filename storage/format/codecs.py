"""How the values of an inner chunk become bytes: the codecs a store writes, and those it reads.

The chain is the one that an array's ``zarr.json`` names, so that any Zarr v3 reader finds what it expects; the work
is done by numcodecs, straight from and into the caller's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import google_crc32c
import numpy as np
from numcodecs import Blosc, Zstd, blosc

from storage.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

CodecName: TypeAlias = Literal["lz4", "lz4-bitshuffle", "zstd", "none"]

CODECS: tuple[CodecName, ...] = get_args(CodecName)

# Blosc's own threads finish blocks in any order, and a chunk's bytes would depend on who was first.
blosc.use_threads = False

_CRC_BYTES = 4
_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


class UndecodableError(Exception):
    """Bytes are not what the codecs wrote; callers know which file they came from and say so."""


def codec_chain(name: CodecName, itemsize: int) -> list[dict[str, Any]]:
    """Return the bytes-to-bytes codecs of a chunk as ``zarr.json`` names them; a CRC-32C ends each chain.

    Raises
    ------
    LayoutError
        There is no such codec.
    """
    if name not in CODECS:
        raise LayoutError(
            where="codec",
            expected=f"one of {', '.join(CODECS)}",
            found=repr(name),
            remedy="Correct the name.",
        )
    blosc = {"cname": "lz4", "clevel": 5, "typesize": itemsize, "blocksize": 0}
    compressors: dict[str, list[dict[str, Any]]] = {
        "lz4": [{"name": "blosc", "configuration": {**blosc, "shuffle": "noshuffle"}}],
        "lz4-bitshuffle": [{"name": "blosc", "configuration": {**blosc, "shuffle": "bitshuffle"}}],
        "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
        "none": [],
    }
    return [*compressors[name], {"name": "crc32c"}]


@dataclass(frozen=True)
class ChunkCodec:
    """The codec of one array's inner chunks; `compressor` is None where values are stored as they are."""

    compressor: Blosc | Zstd | None

    def encode(self, values: npt.NDArray[Any]) -> bytes:
        """Return the bytes of one chunk, C-contiguous; releases the interpreter's lock while it compresses."""
        body = values.tobytes() if self.compressor is None else self.compressor.encode(values)
        crc: int = google_crc32c.value(body)
        return bytes(body) + crc.to_bytes(_CRC_BYTES, "little")

    def decode(self, data: memoryview, into: npt.NDArray[Any], *, check: bool) -> None:
        """Fill `into`, C-contiguous, with the values of one chunk; `check` compares the CRC-32C.

        Raises
        ------
        UndecodableError
            The bytes are no such chunk.
        """
        body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        if check and google_crc32c.value(bytes(body)) != int.from_bytes(crc, "little"):
            raise UndecodableError("a CRC-32C that does not match")
        flat = into.reshape(-1).view(np.uint8)
        if self.compressor is None:
            if len(body) != flat.nbytes:
                raise UndecodableError(f"{len(body)} bytes for {flat.nbytes}")
            flat[:] = np.frombuffer(body, np.uint8)
            return
        try:
            self.compressor.decode(body, out=flat)
        except (RuntimeError, ValueError) as error:
            raise UndecodableError(str(error)) from error


def chunk_codec(chain: Sequence[Mapping[str, Any]]) -> ChunkCodec:
    """Return the codec that a chain in ``zarr.json`` describes.

    Raises
    ------
    UndecodableError
        It is a chain that this version does not read.
    """
    names = [str(codec.get("name")) for codec in chain]
    if names[:1] != ["bytes"] or names[-1:] != ["crc32c"] or len(names) > 3:
        raise UndecodableError(f"the codecs {', '.join(names)}")
    if chain[0].get("configuration", {}).get("endian", "little") != "little":
        raise UndecodableError("big-endian values")
    return _chunk_codec(tuple(_frozen(codec) for codec in chain[1:-1]))


@lru_cache(maxsize=64)
def _chunk_codec(chain: tuple[tuple[tuple[str, Any], ...], ...]) -> ChunkCodec:
    """Return the codec of a chain between ``bytes`` and ``crc32c``: one compressor, or none."""
    if not chain:
        return ChunkCodec(None)
    ((name, configuration),) = [(dict(codec)["name"], dict(dict(codec)["configuration"])) for codec in chain]
    if name == "zstd":
        return ChunkCodec(Zstd(level=int(configuration["level"])))
    if name == "blosc" and configuration["shuffle"] in _SHUFFLES:
        shuffle = _SHUFFLES[configuration["shuffle"]]
        return ChunkCodec(Blosc(configuration["cname"], int(configuration["clevel"]), shuffle))
    raise UndecodableError(f"the codec {name} {configuration}")


def _frozen(codec: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return a codec's name and configuration as a hashable value."""
    configuration = tuple(sorted(dict(codec.get("configuration", {})).items()))
    return (("name", str(codec["name"])), ("configuration", configuration))
