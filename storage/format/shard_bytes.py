"""The bytes of one shard: encoded inner chunks one behind the other, then their index (Zarr's ``sharding_indexed``).

A *chunk table* says where each inner chunk lies and what its digest is. It stands in the marker of a row group, so
that a reader finds, and checks, single chunks without asking the shard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import xxhash

from storage.format.codecs import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIGEST_DIGITS = 32
"""Hex digits of a chunk's digest, XXH3-128."""

_ABSENT = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class ChunkTable:
    """Length and digest of each inner chunk of a shard, in order; chunks lie one behind the other from byte 0."""

    n_bytes: tuple[int, ...]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.n_bytes)

    @property
    def starts(self) -> tuple[int, ...]:
        """First byte of each chunk."""
        return (
            (0, *(int(end) for end in np.cumsum(self.n_bytes[:-1], dtype=np.int64))) if self.n_bytes else ()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON: lengths, and digests in one text."""
        return {"n_bytes": list(self.n_bytes), "digests": "".join(self.digests)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ChunkTable:
        """Return the table that `to_json` described."""
        digests = content["digests"]
        split = range(0, len(digests), DIGEST_DIGITS)
        return cls(tuple(content["n_bytes"]), tuple(digests[i : i + DIGEST_DIGITS] for i in split))


def digest_address(fingerprint: str, key: str) -> str:
    """Return what the digests of a shard's chunks are bound to: the dump, whatever it is called, and the key in it."""
    return f"{fingerprint}/{key}"


def chunk_digest(address: str, chunk: int, data: bytes | memoryview) -> str:
    """Return the digest that binds a chunk's bytes to the shard's address and its place in it, hex.

    XXH3-128 finds damage, not forgery: whoever can write to a store can also write its records. It runs at more than
    ten times the speed of cryptographic digests, so that every read can be checked.
    """
    digest = xxhash.xxh3_128(f"{address}\0{chunk}\0".encode())
    digest.update(data)
    return digest.hexdigest()


def shard_index(table: ChunkTable, n_chunks: int) -> bytes:
    """Return what ends a shard: offset and length of each of `n_chunks` chunks, and a CRC-32C.

    Chunks beyond the table are those of a last, shorter row group: they hold no samples and are marked absent.
    """
    index = np.full((n_chunks, 2), _ABSENT, dtype="<u8")
    index[: len(table), 0] = table.starts
    index[: len(table), 1] = table.n_bytes
    data = index.tobytes()
    crc: int = google_crc32c.value(data)
    return data + crc.to_bytes(4, "little")


def read_table(data: bytes | memoryview, n_chunks: int, address: str) -> ChunkTable:
    """Return the chunk table of a whole shard out of its bytes; `address` is what its digests are bound to.

    Raises
    ------
    UndecodableError
        The shard is not chunks one behind the other and their index.
    """
    ranges = list(read_index(data, n_chunks))
    table = ChunkTable(
        tuple(stop - start for start, stop in ranges),
        tuple(chunk_digest(address, i, memoryview(data)[a:b]) for i, (a, b) in enumerate(ranges)),
    )
    if data[sum(table.n_bytes) :] != shard_index(table, n_chunks):
        raise UndecodableError("chunks that do not lie one behind the other")
    return table


def read_index(data: bytes | memoryview, n_chunks: int) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` of each chunk of a whole shard; absent ones are left out.

    Raises
    ------
    UndecodableError
        The shard does not end in such an index.
    """
    tail = data[-(16 * n_chunks + 4) :]
    body, crc = tail[:-4], tail[-4:]
    if len(body) != 16 * n_chunks or google_crc32c.value(body) != int.from_bytes(crc, "little"):
        raise UndecodableError(f"no index of {n_chunks} chunks at the end of {len(data)} bytes")
    for start, length in np.frombuffer(body, dtype="<u8").reshape(n_chunks, 2):
        if start == length == _ABSENT:
            continue
        if int(start) + int(length) > len(data):
            raise UndecodableError(f"an index that points beyond its {len(data)} bytes")
        yield int(start), int(start) + int(length)
