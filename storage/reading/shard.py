"""Reading inner chunks: only those that hold the rows asked for, each held against its digest before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.commits import RECENT_MARKERS
from storage.errors import CorruptError, NotFoundError, SymlinkError
from storage.format import (
    ArrayLayout,
    ShardRecord,
    UndecodableError,
    chunk_digest,
    describe_array,
    digest_address,
    digest_of,
    marker_key,
    shard_index,
)
from storage.place import asked_again

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from storage.format import LayerRecord, ShardSeal
    from storage.place import Place


@dataclass(frozen=True)
class ShardReader:
    """One committed shard of a layer.

    `dump` is the key of the dump, `layer_set` the one whose marker holds the chunks' digests, `label` how errors
    name the representation. Without `check` the digests are not looked at, only the codecs' own CRC-32C.
    """

    place: Place
    dump: str
    fingerprint: str
    layer_set: str
    label: str
    record: LayerRecord
    row_group: int
    check: bool

    @property
    def seal(self) -> ShardSeal:
        """What the manifest says of this shard."""
        return self.record.shards[self.row_group]

    @property
    def key(self) -> str:
        """Key in the store."""
        return f"{self.dump}/{self.seal.key}"

    def shard(self) -> ShardRecord:
        """Return the shard's record out of its marker, found to be the one that the manifest committed.

        Raises
        ------
        CorruptError
            The marker is missing, damaged or another one.
        """
        key = marker_key(self.dump, self.layer_set, self.row_group)
        try:
            return _shard_record(self.place, key, self.record.layer, self.seal.digest)
        except (NotFoundError, KeyError) as error:
            found = "no file" if isinstance(error, NotFoundError) else "the marker of other layers"
            raise self._corrupt("the marker of this row group", found, file=key) from error
        except UndecodableError as error:
            raise self._corrupt(f"digest {self.seal.digest[:16]}…", str(error), file=key) from error

    def read(self, rows: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> None:
        """Fill `into` ``(len(rows), *shape)`` with rows of this shard, counted from its first.

        `rows` are ascending positions; each chunk that holds one is read and decoded once.

        Raises
        ------
        CorruptError
            The shard is missing, cut, changed or another one.
        """
        layout = describe_array(self.record.metadata.encode())
        size = layout.chunk_rows
        wanted = np.unique(rows // size).tolist()
        scratch: npt.NDArray[Any] | None = None
        for chunk, data in zip(wanted, self._checked(wanted), strict=True):
            low, high = np.searchsorted(rows, (chunk * size, (chunk + 1) * size))
            inside, target = rows[low:high] - chunk * size, into[low:high]
            if np.array_equal(inside, np.arange(size)):
                self._decode(data, target, layout, chunk)
            else:
                if scratch is None:
                    scratch = np.empty((size, *layout.shape[1:]), dtype=layout.dtype)
                self._decode(data, scratch, layout, chunk)
                np.take(scratch, inside, axis=0, out=target)

    def verify(self, choose: Callable[[int], Sequence[int]]) -> None:
        """Hold the shard's size, its index and some of its chunks against what was committed.

        `choose` returns which of so many chunks are read. Nothing is decoded.

        Raises
        ------
        CorruptError
            Something is not as it was committed.
        """
        shard = self.shard()
        size = self.place.size(self.key)
        if size != self.seal.n_bytes:
            found = "no file" if size is None else f"{size} bytes"
            raise self._corrupt(f"{self.seal.n_bytes} bytes", found)
        wanted = choose(len(shard.chunks))
        if len(wanted) < len(shard.chunks):
            start = sum(shard.chunks.n_bytes)
            self._demand_index(shard, self._read_ranges([(start, size)])[0])
        if wanted:
            self._checked(wanted)

    def _decode(self, data: memoryview, into: npt.NDArray[Any], layout: ArrayLayout, chunk: int) -> None:
        """Fill `into` with a chunk's values."""
        try:
            layout.codec.decode(data, into, check=not self.check)
        except UndecodableError as error:
            raise self._corrupt("bytes its codecs accept", f"{error} in chunk {chunk}") from error

    def _checked(self, wanted: Sequence[int]) -> list[memoryview]:
        """Return the bytes of chunks, found to be those that were committed; with all of them, the index too."""
        shard = self.shard()
        starts, lengths = shard.chunks.starts, shard.chunks.n_bytes
        ranges = [(starts[c], starts[c] + lengths[c]) for c in wanted]
        if len(wanted) == len(shard.chunks):
            ranges.append((sum(lengths), self.seal.n_bytes + 1))  # one more: there is none
        return asked_again(lambda: self._demand_committed(shard, wanted, self._split(ranges)))

    def _demand_committed(
        self, shard: ShardRecord, wanted: Sequence[int], blocks: list[memoryview]
    ) -> list[memoryview]:
        """Return the bytes of chunks if they, and the index where it was read too, are those that were committed."""
        lengths = shard.chunks.n_bytes
        address = digest_address(self.fingerprint, self.seal.key)
        for chunk, data in zip(wanted, blocks, strict=False):
            if len(data) != lengths[chunk]:
                raise self._corrupt(f"{self.seal.n_bytes} bytes", f"an end within chunk {chunk}")
            if self.check and chunk_digest(address, chunk, data) != shard.chunks.digests[chunk]:
                raise self._corrupt("the bytes that were committed", f"others in chunk {chunk}")
        for rest in blocks[len(wanted) :]:
            self._demand_index(shard, rest)
        return blocks[: len(wanted)]

    def _demand_index(self, shard: ShardRecord, found: bytes | memoryview) -> None:
        """Refuse a shard that does not end in its index."""
        if found != shard_index(shard.chunks, describe_array(self.record.metadata.encode()).n_chunks):
            raise self._corrupt("the index that was committed", "another end of the shard")

    def _split(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes of ascending ranges; neighbours are read as one."""
        spans = _merged(ranges)
        blocks = iter(zip(spans, self._read_ranges(spans), strict=True))
        pieces: list[memoryview] = []
        (start, stop), block = (0, -1), b""
        for low, high in ranges:
            while low >= stop:
                (start, stop), block = next(blocks)
            pieces.append(memoryview(block)[low - start : high - start])
        return pieces

    def _read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return ranges of the shard's bytes; what prevents it names the representation."""
        try:
            return self.place.read_ranges(self.key, ranges)
        except NotFoundError as error:
            raise self._corrupt(f"{self.seal.n_bytes} bytes", "no file") from error
        except SymlinkError:
            raise
        except CorruptError as error:
            raise self._corrupt(error.expected, error.found) from error

    def _corrupt(self, expected: str, found: str, *, file: str | None = None) -> CorruptError:
        """Return the error for this shard, or for the file that vouches for it."""
        return CorruptError(
            representation=self.label,
            row_group=self.row_group,
            file=self.place.path(self.key if file is None else file),
            expected=expected,
            found=found,
        )


@lru_cache(maxsize=8192)
def _shard_record(place: Place, marker: str, layer: str, digest: str) -> ShardRecord:
    """Return a shard's record; its digest makes it what it is, so that one process reads it once."""
    record = RECENT_MARKERS.shards(place, marker).get(layer)
    if record is None or digest_of(record) != digest:
        RECENT_MARKERS.forget(place, marker)
        record = RECENT_MARKERS.shards(place, marker)[layer]
    if digest_of(record) != digest:
        raise UndecodableError(f"{digest_of(record)[:16]}…")
    return ShardRecord.from_json(record)


def forget_shards() -> None:
    """Let the records of shards be read anew."""
    RECENT_MARKERS.cache_clear()
    _shard_record.cache_clear()


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ascending ranges with neighbours joined."""
    spans: list[tuple[int, int]] = []
    for start, stop in ranges:
        if spans and start == spans[-1][1]:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    return spans
