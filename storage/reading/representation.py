"""Reading a sealed representation: by row group, by rows, in shuffled batches; checked chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import CorruptError, LayoutError
from storage.format import describe_array, digest_of, dump_key
from storage.reading.shard import ShardReader
from storage.reading.shuffling import shuffled_batches
from storage.splits import load_split, row_positions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import xarray as xr

    from storage.format import JSON, Address, LayerRecord
    from storage.place import Place
    from storage.splits import Split


@dataclass(frozen=True, eq=False)
class Representation:
    """The activations of one layer of one model on one split, sealed; first axis = samples.

    Opening reads the manifest only. Pickles as a few kilobytes: the place, the shards' digests, no data.

    Attributes
    ----------
    address, fingerprint
        Name, and digest of the dump's identity.
    identity
        What the fingerprint covers: weights, architecture, data, preprocessing, …
    provenances
        Of each run that wrote row groups: versions, device, precision flags.
    sample_digest
        SHA-256 of the sample ids in storage order.
    row_groups
        ``(start, stop)`` of each.
    record
        The layer's entry in the manifest.
    layer_set
        The layer set that it was written with, whose markers hold the chunks' digests.
    checked
        Whether reads compare digests; see `open_store`.
    """

    place: Place
    address: Address
    fingerprint: str
    identity: Mapping[str, JSON]
    provenances: tuple[Mapping[str, JSON], ...]
    sample_digest: str
    row_groups: tuple[tuple[int, int], ...]
    record: LayerRecord
    layer_set: str
    checked: bool = True

    def __repr__(self) -> str:
        """Return name, fingerprint, shape and dtype."""
        return f"<Representation {self.address.label(self.fingerprint)}: {self.shape} {self.dtype}>"

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        """Return what tells this representation's values from any other's."""
        return ("storage.Representation", self.digest, self.place.url)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over samples, shape, dtype and every shard's digest: equal digests, equal bytes."""
        shards = [shard.digest for shard in self.record.shards]
        return digest_of([self.sample_digest, list(self.shape), self.record.dtype, shards])

    @property
    def provenance(self) -> Mapping[str, JSON]:
        """Provenance of the first run; `provenances` has all."""
        return self.provenances[0]

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.row_groups[-1][1]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples, …)``."""
        return (self.n_samples, *self.record.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Storage dtype, float32 or float16."""
        return np.dtype(self.record.dtype)

    @property
    def chunk_rows(self) -> int:
        """Samples of an inner chunk, the least that is read and decoded; divides every row group but the last."""
        return describe_array(self.record.metadata.encode()).chunk_rows

    @property
    def n_bytes(self) -> int:
        """Bytes of all shards on the disk."""
        return sum(shard.n_bytes for shard in self.record.shards)

    @property
    def split(self) -> Split:
        """The samples: ids, labels, original index.

        Raises
        ------
        CorruptError
            The split on the disk is not the one this was dumped over.
        """
        split = load_split(self.place, self.address.dataset, self.address.split)
        if split.sample_digest != self.sample_digest:
            raise CorruptError(
                representation=str(self.address),
                row_group=None,
                file=self.place.url,
                expected=f"samples with the digest {self.sample_digest[:12]}",
                found=split.sample_digest[:12],
            )
        return split

    @property
    def group_bounds(self) -> tuple[tuple[int, int], ...] | None:
        """``(start, stop)`` of each group's rows; None where none were declared."""
        return self.split.group_bounds

    @property
    def group_digest(self) -> str | None:
        """SHA-256 of the groups in storage order; None where none were declared."""
        return self.split.group_digest

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group ``(rows, …)`` in the storage dtype.

        Raises
        ------
        CorruptError
            The shard is missing, cut, changed or another one.
        LayoutError
            There is no such row group.

        Notes
        -----
        Reads one shard once; every chunk is held against its digest before it is decoded.
        """
        start, stop = self._bounds(row_group)
        return self._block(self._shard(row_group), 0, stop - start)

    def blocks(
        self, row_group: int, samples: int, *, rows: tuple[int, int] | None = None
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield one row group as blocks of consecutive samples ``(rows, …)``, in order, in the storage dtype.

        Parameters
        ----------
        row_group
            Its number.
        samples
            How many samples a block should have. It has that many rounded down to a multiple of `chunk_rows`, but at
            least `chunk_rows`; the last block has what is left, and so has the first where `rows` begin inside a chunk.
        rows
            Only these stored rows of it, ``(start, stop)``; default: all.

        Raises
        ------
        LayoutError
            There is no such row group, it does not hold these rows, or `samples` is below 1.
        CorruptError
            When a block is reached: the shard is missing, cut, changed or another one.

        Notes
        -----
        Reads, checks and decodes each inner chunk once. Memory: a block and, while it is filled, its compressed bytes;
        every block is an array of its own, so a caller that keeps the last one has two. On a disk blocks of 1 MiB are
        as fast as `read`, of 4 MiB up to twice as fast; in a bucket each block is two requests.
        """
        start, stop = self._bounds(row_group)
        if samples < 1:
            raise LayoutError(
                where=f"blocks of {self.address}",
                expected="at least 1 sample",
                found=str(samples),
                remedy="Raise it.",
            )
        first, last = (start, stop) if rows is None else rows
        if not start <= first <= last <= stop:
            raise LayoutError(
                where=f"blocks of {self.address}",
                expected=f"rows from {start} to {stop}, those of row group {row_group}",
                found=f"{first} to {last}",
                remedy="Take them from row_groups.",
            )
        size = max(samples // self.chunk_rows, 1) * self.chunk_rows
        return self._blocks(self._shard(row_group), (first - start, last - start), size)

    def _blocks(self, shard: ShardReader, rows: tuple[int, int], size: int) -> Iterator[npt.NDArray[Any]]:
        """Yield some samples of a shard in blocks of `size`, counted from the beginning of the first one's chunk."""
        start, stop = rows
        for first in range(start - start % self.chunk_rows, stop, size):
            yield self._block(shard, max(first, start), min(first + size, stop))

    def _block(self, shard: ShardReader, start: int, stop: int) -> npt.NDArray[Any]:
        """Return consecutive samples of a shard."""
        block = np.empty((stop - start, *self.record.shape), dtype=self.dtype)
        shard.read(np.arange(start, stop), block)
        return block

    def read_rows(self, rows: slice | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return rows ``(len(rows), …)``, in the order asked for, in the storage dtype.

        Parameters
        ----------
        rows
            A slice, positions (repeats allowed, negative from the end), or a boolean mask ``(n_samples,)``.

        Raises
        ------
        CorruptError
            A shard is missing, cut, changed or another one.
        LayoutError
            Positions out of range, or a mask of another length.

        Notes
        -----
        Reads, checks and decodes each inner chunk that holds a row once, and no other. Rows that are not a slice are
        put in order at the end: twice their memory.
        """
        wanted = row_positions(rows, self.n_samples, where=f"rows of {self.address}")
        if isinstance(rows, slice) and rows.step in (None, 1):
            order, ascending = None, wanted
        else:
            order = np.argsort(wanted, kind="stable")
            ascending = wanted[order]
        result = np.empty((len(wanted), *self.record.shape), dtype=self.dtype)
        width = self.row_groups[0][1]
        for group in np.unique(ascending // width).tolist():
            low, high = np.searchsorted(ascending, self.row_groups[group])
            self._shard(group).read(ascending[low:high] - self.row_groups[group][0], result[low:high])
        if order is None:
            return result
        unsorted = np.empty_like(result)
        unsorted[order] = result
        return unsorted

    def rows_of(
        self,
        *,
        sample_ids: Sequence[str] | None = None,
        labels: Collection[int | str] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return where samples are stored, for `read_rows`; see `Split.rows`."""
        return self.split.rows(sample_ids=sample_ids, labels=labels)

    def read_samples(self, sample_ids: Sequence[str]) -> npt.NDArray[Any]:
        """Return the rows of some samples ``(len(sample_ids), …)``, in the order asked for, in the storage dtype.

        Raises
        ------
        SampleIdError
            Ids that are not there; the nearest is named.
        CorruptError
            A shard is missing, cut, changed or another one.

        Notes
        -----
        Cost of `read_rows`: only the inner chunks that hold these rows.
        """
        return self.read_rows(self.rows_of(sample_ids=sample_ids))

    def to_xarray(self) -> xr.DataArray:
        """Return a lazy, labelled array; rows are read, and checked, when they are asked for.

        Dimensions ``(sample, channel, y, x)``, ``(sample, token, feature)`` or ``(sample, feature)``;
        coordinates ``sample_id`` and, where known, ``label`` along ``sample``.

        Samples are selected by id with ``array.set_index(sample="sample_id").sel(sample=["a", "b"])``, by label with
        ``array.isel(sample=representation.rows_of(labels=[3]))``; both stay lazy and read only these rows.
        ``array.where(array.label == 3, drop=True)`` gives the same rows, but reads everything, and in float.
        """
        from storage.reading.lazy_array import lazy_array  # noqa: PLC0415  (xarray takes seconds to import: only on demand)

        about = {
            "dataset": self.address.dataset,
            "split": self.address.split,
            "model": self.address.model,
            "layer": self.address.layer,
            "fingerprint": self.fingerprint,
        }
        return lazy_array(self, self.split, about)

    def shuffled_batches(
        self, batch_size: int, rng: np.random.Generator, *, window_row_groups: int = 8
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Yield one epoch of shuffled batches: ``(row positions, activations)``.

        The order of row groups is shuffled, a window of them is read and shuffled inside: each shard is read
        once. Every batch has `batch_size` rows but the last. The order follows from `rng` alone.

        Notes
        -----
        Memory: `window_row_groups` row groups, and a batch twice: a window is never copied whole.
        """
        return shuffled_batches(self, batch_size, rng, window_row_groups=window_row_groups)

    def _bounds(self, row_group: int) -> tuple[int, int]:
        """Return the bounds of a row group that exists."""
        if not 0 <= row_group < len(self.row_groups):
            raise LayoutError(
                where=str(self.address),
                expected=f"a row group from 0 to {len(self.row_groups) - 1}",
                found=str(row_group),
                remedy="Take its number from row_groups.",
            )
        return self.row_groups[row_group]

    def shard_file(self, row_group: int) -> str:
        """Return the key of a row group's shard."""
        return self._shard(row_group).key

    def _shard(self, row_group: int) -> ShardReader:
        """Return the reader of one row group's shard."""
        return ShardReader(
            place=self.place,
            dump=dump_key(self.address.dataset, self.address.split, self.address.model, self.fingerprint),
            fingerprint=self.fingerprint,
            layer_set=self.layer_set,
            label=self.address.label(self.fingerprint),
            record=self.record,
            row_group=row_group,
            check=self.checked,
        )
