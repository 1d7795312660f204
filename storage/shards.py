"""One shard: created whole and durable, or adopted where a writer of the same dump was here before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage import arrays
from storage.checks import absmax, same_but_for_rounding
from storage.errors import CorruptError
from storage.layout import shard_key
from storage.schema import ShardRecord, digest_of_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

    from storage.files import Files


@dataclass(frozen=True)
class Shard:
    """Where one row group of one layer lies.

    `dump` is the key of the dump's group, `label` how errors name the representation, `bounds` the stored
    rows, `metadata` the ``zarr.json`` of the array.
    """

    files: Files
    dump: str
    label: str
    layer: str
    row_group: int
    bounds: tuple[int, int]
    metadata: bytes

    def put(self, block: npt.NDArray[Any]) -> ShardRecord:
        """Create the shard that holds `block`, or adopt the one that is there.

        Raises
        ------
        CorruptError
            What is there is no shard, or not what this network gives.
        """
        within = shard_key(self.layer, self.row_group, block.ndim)
        data = arrays.encode_shard(self.metadata, self.bounds, block)
        if not self.files.create(f"{self.dump}/{within}", data):
            data = self.files.read(f"{self.dump}/{within}")
            block = self._adopted(within, data, block)
        return ShardRecord(
            key=within,
            n_bytes=len(data),
            sha256=digest_of_bytes(data),
            n_rows=len(block),
            nan_count=0,
            absmax=absmax(block),
        )

    def _adopted(self, within: str, data: bytes, block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values of the shard that is there, found to be those of `block` but for rounding."""
        try:
            found = arrays.decode_shard(self.metadata, within.rsplit("/", 1)[1], data, slice(*self.bounds))
        except arrays.UndecodableError as error:
            raise self._unfit(within, "a whole shard", str(error)) from error
        if not same_but_for_rounding(found, block):
            raise self._unfit(
                within, "the values that this network gives", "others, in a shard never committed"
            )
        return found

    def _unfit(self, within: str, expected: str, found: str) -> CorruptError:
        """Return the error for a shard that cannot be adopted."""
        return CorruptError(
            representation=self.label,
            row_group=self.row_group,
            file=self.files.path(f"{self.dump}/{within}"),
            expected=expected,
            found=found,
            remedy="Remove this file and run again: only this row group is redone.",
        )
