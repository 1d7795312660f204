"""One shard: built chunk by chunk, created whole and durable, or adopted where a writer was here before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import CorruptError
from storage.format import (
    ArrayLayout,
    ChunkTable,
    ShardRecord,
    UndecodableError,
    chunk_digest,
    describe_array,
    digest_address,
    read_table,
    shard_index,
    shard_key,
)
from storage.writing.value_checks import absmax, checked_rows, same_but_for_rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from storage.format import DumpIdentity, LayerSpec
    from storage.place import Place, Staged


@dataclass(frozen=True)
class ShardSlot:
    """Where one row group of one layer belongs.

    `bounds` are its stored rows, `metadata` the ``zarr.json`` of the array.
    """

    place: Place
    dump: DumpIdentity
    layer: str
    spec: LayerSpec
    row_group: int
    bounds: tuple[int, int]
    metadata: bytes

    @property
    def key(self) -> str:
        """Key below the dump."""
        return shard_key(self.layer, self.row_group, len(self.spec.shape) + 1)

    @property
    def layout(self) -> ArrayLayout:
        """What the array's metadata says."""
        return describe_array(self.metadata)

    @property
    def full_key(self) -> str:
        """Key in the store."""
        return f"{self.dump.key}/{self.key}"

    @property
    def digest_address(self) -> str:
        """What chunks' digests are bound to."""
        return digest_address(self.dump.fingerprint, self.key)

    def corrupt(self, expected: str, found: str) -> CorruptError:
        """Return the error for a shard that cannot be adopted."""
        return CorruptError(
            representation=self.dump.label(self.layer),
            row_group=self.row_group,
            file=self.place.path(self.full_key),
            expected=expected,
            found=found,
            remedy="Repair the store and run again: only this row group is redone. "
            "If the file is still there, collect the store's garbage first.",
        )


class ShardWriter:
    """Takes a row group's rows of one layer in order; compresses and stages each chunk when it is full.

    Memory: one chunk, however large the row group is (on an object store also the compressed shard).
    """

    def __init__(self, slot: ShardSlot) -> None:
        self._slot = slot
        self._layout = slot.layout
        self._staged: Staged = slot.place.stage(slot.full_key)
        self._buffer = np.empty((self._layout.chunk_rows, *slot.spec.shape), dtype=slot.spec.dtype)
        self._filled = 0
        self._n_rows = 0
        self._absmax = 0.0
        self._n_bytes: list[int] = []
        self._digests: list[str] = []

    def append(self, rows: npt.NDArray[Any], sample_ids: Sequence[str]) -> None:
        """Take the next rows ``(n, *shape)``; `sample_ids` are theirs.

        Raises
        ------
        LayoutError, NonFiniteError, RangeError
            See `storage.checked_rows`.
        WriteError
            The place refused.
        """
        slot = self._slot
        stored, largest = checked_rows(
            slot.layer, slot.spec, rows, row_group=slot.row_group, sample_ids=sample_ids
        )
        self._absmax = max(self._absmax, largest)
        self._n_rows += len(stored)
        at, size = 0, len(self._buffer)
        while at < len(stored):
            # A whole chunk is compressed from where it lies. Only what does not fill one is copied into the buffer,
            # where it waits for the next rows.
            if self._filled == 0 and len(stored) - at >= size:
                self._put_chunk(stored[at : at + size])
                at += size
                continue
            taken = min(size - self._filled, len(stored) - at)
            self._buffer[self._filled : self._filled + taken] = stored[at : at + taken]
            self._filled += taken
            at += taken
            if self._filled == size:
                self._put_chunk(self._buffer)
                self._filled = 0

    def commit(self) -> ShardRecord:
        """Create the shard, or adopt the one that is there; all rows must have been appended.

        Raises
        ------
        CorruptError
            What is there is no shard, or not what this network gives.
        WriteError
            The place refused.
        """
        if self._filled:
            # Chunks have one size: the last one of a shorter row group is filled up with the array's fill value.
            self._buffer[self._filled :] = np.nan
            self._put_chunk(self._buffer)
            self._filled = 0
        table = ChunkTable(tuple(self._n_bytes), tuple(self._digests))
        index = shard_index(table, self._layout.n_chunks)
        self._staged.write(index)
        if self._staged.commit():
            n_bytes = sum(table.n_bytes) + len(index)
            return ShardRecord(self._slot.key, n_bytes, self._n_rows, self._absmax, table)
        return self._adopted()

    def discard(self) -> None:
        """Leave nothing behind that was not committed."""
        self._staged.discard()

    def _put_chunk(self, values: npt.NDArray[Any]) -> None:
        """Compress and stage one chunk."""
        data = self._layout.codec.encode(values)
        self._digests.append(chunk_digest(self._slot.digest_address, len(self._digests), data))
        self._n_bytes.append(len(data))
        self._staged.write(data)

    def _adopted(self) -> ShardRecord:
        """Return the record of the shard that is there, its values those of this run but for rounding.

        It is never replaced: its writer may be alive, and a marker may vouch for its bytes. Whoever was first decides
        the bits. But it must be what this network gives, or a stale shard of another one would be sealed with ours.
        """
        theirs, ours = self._slot.place.read(self._slot.full_key), self._staged.read()
        record, values = shard_of_bytes(self._slot, theirs)
        if theirs != ours and not same_but_for_rounding(values, shard_of_bytes(self._slot, ours)[1]):
            raise self._slot.corrupt(
                "the values that this network gives", "others, in a shard never committed"
            )
        return record


def shard_of_bytes(slot: ShardSlot, data: bytes) -> tuple[ShardRecord, npt.NDArray[Any]]:
    """Return the record and the values ``(rows, *shape)`` of a whole shard that nobody vouched for yet.

    Raises
    ------
    CorruptError
        It is no shard of this array, or holds NaN where there are samples.
    """
    layout = slot.layout
    n_rows = slot.bounds[1] - slot.bounds[0]
    values = np.empty(
        (-(-n_rows // layout.chunk_rows) * layout.chunk_rows, *slot.spec.shape), slot.spec.dtype
    )
    view = memoryview(data)
    try:
        table = read_table(data, layout.n_chunks, slot.digest_address)
        if len(table) * layout.chunk_rows != len(values):
            raise UndecodableError(f"{len(table)} chunks for {n_rows} rows")
        for chunk, (start, length) in enumerate(zip(table.starts, table.n_bytes, strict=True)):
            rows = slice(chunk * layout.chunk_rows, (chunk + 1) * layout.chunk_rows)
            layout.codec.decode(view[start : start + length], values[rows], check=True)
    except UndecodableError as error:
        raise slot.corrupt("a whole shard", str(error)) from error
    rows_there = values[:n_rows]
    return ShardRecord(slot.key, len(data), n_rows, absmax(rows_there), table), rows_there
