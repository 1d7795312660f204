"""The markers of a layer set: one per row group, which vouches for the shards of all its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import CorruptError
from storage.format import (
    MARKER,
    create_record,
    digest_of_bytes,
    digest_of_ids,
    manifest_key,
    marker_key,
    read_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.format import DumpIdentity, ShardRecord
    from storage.place import Place
    from storage.splits import Split


@dataclass(frozen=True)
class Markers:
    """Reads and creates the markers of one layer set; shards of the layers `gone` need not be there."""

    place: Place
    dump: DumpIdentity
    split: Split
    layer_set: str
    gone: frozenset[str] = frozenset()

    def key(self, row_group: int) -> str:
        """Return the key of a row group's marker."""
        return marker_key(self.dump.key, self.layer_set, row_group)

    @property
    def manifest_key(self) -> str:
        """Key of the manifest that seals the layer set."""
        return manifest_key(self.dump.key, self.layer_set)

    def exists(self, row_group: int) -> bool:
        """Return whether a row group has its marker, from whichever writer."""
        return self.place.size(self.key(row_group)) is not None

    def read(
        self, row_group: int, *, metadata: Mapping[str, bytes], size_of: Callable[[str], int | None]
    ) -> dict[str, Any]:
        """Return the marker of a row group, its shards found in place by `size_of`.

        `metadata` is the ``zarr.json`` of each layer's array.

        Raises
        ------
        CorruptError
            It is damaged or another one, or a shard it vouches for is gone or cut.
        """
        key = self.key(row_group)
        marker = read_record(self.place, key, kind=MARKER)
        binding = self._binding(row_group, metadata)
        wrong = [name for name, value in binding.items() if marker.get(name) != value]
        if wrong:
            raise self._corrupt(key, "*", row_group, "the marker of these rows", f"other {', '.join(wrong)}")
        for layer, shard in marker["shards"].items():
            shard_file = f"{self.dump.key}/{shard['key']}"
            size = size_of(shard_file)
            if size != shard["n_bytes"] and layer not in self.gone:
                found = "no file" if size is None else f"{size} bytes"
                raise self._corrupt(shard_file, layer, row_group, f"{shard['n_bytes']} bytes", found)
        return marker

    def create(
        self,
        row_group: int,
        records: Mapping[str, ShardRecord],
        *,
        metadata: Mapping[str, bytes],
        provenance: Mapping[str, Any],
    ) -> None:
        """Create the marker that vouches for the shards of a row group, or find that the one there does.

        Raises
        ------
        CorruptError
            Another writer's marker was first and vouches for other shards.
        """
        shards = {name: record.to_json() for name, record in records.items()}
        marker = {**self._binding(row_group, metadata), "shards": shards, "provenance": dict(provenance)}
        if create_record(self.place, self.key(row_group), kind=MARKER, content=marker):
            return
        other = read_record(self.place, self.key(row_group), kind=MARKER)["shards"]
        for layer, shard in shards.items():
            if other.get(layer) != shard:
                key = f"{self.dump.key}/{shard['key']}"
                raise self._corrupt(key, layer, row_group, "the shard that its marker names", "another one")

    def make_durable(self, row_group: int, marker: Mapping[str, Any]) -> None:
        """Wait until somebody else's marker, which may be a moment old, is sure to stay."""
        create_record(self.place, self.key(row_group), kind=MARKER, content=marker)

    def _binding(self, row_group: int, metadata: Mapping[str, bytes]) -> dict[str, Any]:
        """Return what binds a marker to its dump, its rows and the arrays they are encoded for."""
        start, stop = self.split.row_groups[row_group]
        return {
            "fingerprint": self.dump.fingerprint,
            "row_group": row_group,
            "rows": [start, stop],
            "sample_digest": digest_of_ids(self.split.sample_ids[start:stop]),
            "metadata": {name: digest_of_bytes(data) for name, data in metadata.items()},
        }

    def _corrupt(self, key: str, layer: str, row_group: int, expected: str, found: str) -> CorruptError:
        """Return the error for a marker, or for a file that it vouches for."""
        return CorruptError(
            representation=self.dump.label(layer),
            row_group=row_group,
            file=self.place.path(key),
            expected=expected,
            found=found,
            remedy="Repair the store and run again: only this row group is redone.",
        )
