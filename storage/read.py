"""Reading a sealed representation: every shard is checked against the manifest before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import arrays
from storage.batches import shuffled_batches
from storage.errors import CorruptError, LayoutError, NotFoundError, SymlinkError
from storage.layout import dump_key
from storage.schema import digest_of, digest_of_bytes
from storage.selection import positions
from storage.splits import load_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import xarray as xr

    from storage.files import Files
    from storage.schema import JSON, Address, LayerRecord
    from storage.splits import Split

_VERIFIED: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {}
"""Shards checked by this process: (root, key) → digest demanded, and the file's version it was found in."""


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
    """

    files: Files
    address: Address
    fingerprint: str
    identity: Mapping[str, JSON]
    provenances: tuple[Mapping[str, JSON], ...]
    sample_digest: str
    row_groups: tuple[tuple[int, int], ...]
    record: LayerRecord

    def __repr__(self) -> str:
        """Return name, fingerprint, shape and dtype."""
        return f"<Representation {self.address} ({self.fingerprint[:12]}): {self.shape} {self.dtype}>"

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        """Return what tells this representation's values from any other's."""
        return ("storage.Representation", self.digest, self.files.root)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over samples, shape, dtype and every shard's digest: equal digests, equal values."""
        shards = [shard.sha256 for shard in self.record.shards]
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
        split = load_split(self.files, self.address.dataset, self.address.split)
        if split.sample_digest != self.sample_digest:
            raise CorruptError(
                representation=str(self.address),
                row_group=None,
                file=self.files.root,
                expected=f"samples with the digest {self.sample_digest[:12]}",
                found=split.sample_digest[:12],
            )
        return split

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
        Reads one shard. Its SHA-256 is taken the first time in a process, and again if the file was touched.
        """
        start, stop = self._bounds(row_group)
        return self._decode(row_group, slice(start, stop))

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
        Reads each shard that holds a row once, decodes the inner chunks between its first and last row.
        """
        wanted = positions(rows, self.n_samples, where=f"rows of {self.address}")
        result = np.empty((len(wanted), *self.record.shape), dtype=self.dtype)
        width = self.row_groups[0][1] - self.row_groups[0][0]
        group_of = wanted // width
        for group in np.unique(group_of):
            places = np.flatnonzero(group_of == group)
            inside = wanted[places]
            low, high = int(inside.min()), int(inside.max()) + 1
            result[places] = self._decode(int(group), slice(low, high))[inside - low]
        return result

    def to_xarray(self) -> xr.DataArray:
        """Return a lazy, labelled array; rows are read, and checked, when they are asked for.

        Dimensions ``(sample, channel, y, x)``, ``(sample, token, feature)`` or ``(sample, feature)``;
        coordinates ``sample_id`` and, where known, ``label`` along ``sample``.
        """
        from storage.lazy import lazy_array  # noqa: PLC0415  (xarray takes seconds to import: only on demand)

        return lazy_array(self)

    def shuffled_batches(
        self, batch_size: int, rng: np.random.Generator, *, window_row_groups: int = 8
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Yield one epoch of shuffled batches: ``(row positions, activations)``.

        The order of row groups is shuffled, a window of them is read and shuffled inside: each shard is read
        once. Every batch has `batch_size` rows but the last. The order follows from `rng` alone.

        Notes
        -----
        Memory: `window_row_groups` row groups and one batch, twice while a window is shuffled.
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

    def _decode(self, row_group: int, rows: slice) -> npt.NDArray[Any]:
        """Return stored rows out of one shard."""
        data = self._checked(row_group)
        name = self.record.shards[row_group].key.rsplit("/", 1)[1]
        try:
            return arrays.decode_shard(self.record.metadata.encode(), name, data, rows)
        except arrays.UndecodableError as error:
            raise self._corrupt(row_group, "bytes its codecs accept", str(error)) from error

    def _checked(self, row_group: int) -> bytes:
        """Return a shard's bytes, found to be those that were committed."""
        shard = self.record.shards[row_group]
        key = self.shard_file(row_group)
        version = self.files.version(key)
        try:
            data = self.files.read(key)
        except NotFoundError as error:
            raise self._corrupt(row_group, f"{shard.n_bytes} bytes", "no file") from error
        except SymlinkError:
            raise
        except CorruptError as error:
            raise self._corrupt(row_group, error.expected, error.found) from error
        if len(data) != shard.n_bytes:
            raise self._corrupt(row_group, f"{shard.n_bytes} bytes", f"{len(data)} bytes")
        known = (self.files.root, key)
        if version is None or _VERIFIED.get(known) != (shard.sha256, version):
            digest = digest_of_bytes(data)
            if digest != shard.sha256:
                raise self._corrupt(row_group, f"SHA-256 {shard.sha256[:16]}…", f"{digest[:16]}…")
            if version is not None:
                _VERIFIED[known] = (shard.sha256, version)
        return data

    def shard_file(self, row_group: int) -> str:
        """Return the key of a row group's shard."""
        dump = dump_key(self.address.dataset, self.address.split, self.address.model, self.fingerprint)
        return f"{dump}/{self.record.shards[row_group].key}"

    def _corrupt(self, row_group: int, expected: str, found: str) -> CorruptError:
        """Return the error for one of this representation's shards."""
        return CorruptError(
            representation=f"{self.address} ({self.fingerprint[:12]})",
            row_group=row_group,
            file=self.files.path(self.shard_file(row_group)),
            expected=expected,
            found=found,
        )
