"""Writing a dump: whole shards, then one marker per row group, then the manifest, which is the commit.

Nothing is ever overwritten or deleted. A writer that finds a shard adopts it, a writer that finds a marker is
done with that row group, and a writer that finds the manifest is done: any number of writers, killed at any
moment, end in one result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.commits import Markers, kept_shards
from storage.errors import LayoutError, UnfinishedError
from storage.format import MANIFEST, Encoding, LayerSpec, ShardRecord, layer_set_name, part_of, settle_record
from storage.writing.dump_arrays import flag_sealed, set_up_layers
from storage.writing.manifest import manifest_of_markers
from storage.writing.row_group import RowGroupWriter
from storage.writing.shard import ShardSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    import numpy.typing as npt

    from storage.commits import RetiredLayer
    from storage.format import DumpIdentity
    from storage.place import Place
    from storage.splits import Split


class Dump:
    """The layers of a model that are written together over a split; made by `Store.begin_dump`.

    Attributes
    ----------
    identity
        Which dump.
    split
        The samples, in the order in which blocks are expected.
    layers
        The layers that are still to be written: those asked for that are not sealed yet.
    requested
        The names of all layers that were asked for.
    provenance
        Of this run.
    """

    def __init__(  # noqa: PLR0913  (keyword-only; made by `Store.begin_dump` alone)
        self,
        place: Place,
        identity: DumpIdentity,
        split: Split,
        *,
        layers: Mapping[str, LayerSpec],
        requested: frozenset[str],
        provenance: Mapping[str, Any],
        encoding: Encoding,
        generation: int,
        retired: Mapping[str, RetiredLayer],
        gone: frozenset[str] = frozenset(),
    ) -> None:
        self.identity = identity
        self.split = split
        self.layers = dict(layers)
        self._place = place
        self.requested = requested
        self.provenance = dict(provenance)
        self._encoding = encoding
        self._generation = generation
        self._retired = dict(retired)
        self._markers = Markers(place, identity, split, layer_set_name(layers, generation), gone)
        self._sealed = not layers
        self._metadata: dict[str, bytes] = {}
        self._marked: set[int] = set()

    @classmethod
    def taken_up(
        cls,
        place: Place,
        identity: DumpIdentity,
        split: Split,
        *,
        layers: Mapping[str, LayerSpec],
        generation: int,
        retired: Mapping[str, RetiredLayer] | None = None,
        gone: frozenset[str] = frozenset(),
    ) -> Dump:
        """Return a dump that only seals what is there, for repairs; shards of the layers `gone` need not be."""
        return cls(
            place,
            identity,
            split,
            layers=layers,
            requested=frozenset(layers),
            provenance={},
            encoding=Encoding(),
            generation=generation,
            retired=retired or {},
            gone=gone,
        )

    @property
    def fingerprint(self) -> str:
        """Digest of the identity, hex: the same name with another fingerprint is another dump."""
        return self.identity.fingerprint

    @property
    def sealed(self) -> bool:
        """Whether every layer that was asked for is committed: nothing is left to do."""
        return self._sealed

    def missing_row_groups(self, *, part: int = 0, parts: int = 1) -> list[int]:
        """Return the row groups without a marker, in order; none once sealed.

        Parameters
        ----------
        part, parts
            Only the `part`-th (from 0) of `parts` contiguous ranges: workers that take different parts of one dump
            write different shards, and end in the bytes that one worker would have written.

        Raises
        ------
        CorruptError
            A marker is damaged, or a shard it vouches for is gone or cut.
        LayoutError
            No such part.

        Notes
        -----
        Reads every marker and lists the dump's files once; reads no shard.
        """
        wanted = part_of(len(self.split.row_groups), part=part, parts=parts)
        if self._sealed:
            return []
        self._keep_sound_row_groups()
        size_of = self._sizes()
        return [g for g in wanted if self._marker(g, size_of) is None]

    def is_written(self, row_group: int) -> bool:
        """Return whether a row group has its marker by now, from whichever writer."""
        return self._sealed or self._markers.exists(row_group)

    def row_group(self, row_group: int, *, executor: Executor | None = None) -> RowGroupWriter:
        """Return a writer of one row group that takes its rows batch by batch.

        Parameters
        ----------
        row_group
            Its number, out of `missing_row_groups`.
        executor
            Threads that work on several layers at a time; by default the caller's alone.

        Raises
        ------
        LayoutError
            There is no such row group.

        Notes
        -----
        Memory: one inner chunk per layer, whatever the size of the row group; on an object store also the
        compressed shards of the row group.
        """
        self._demand_row_group(row_group)
        self._set_up()
        start, stop = self.split.row_groups[row_group]
        return RowGroupWriter(
            row_group,
            {name: self._slot(name, row_group) for name in self.layers},
            sample_ids=self.split.sample_ids[start:stop],
            mark=lambda records: self._mark(row_group, records),
            executor=executor,
        )

    def write(self, row_group: int, blocks: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write one row group at once: the shard of every layer, then their marker.

        Parameters
        ----------
        row_group
            Its number.
        blocks
            Layer name → ``(rows of the row group, *shape)``. All of `layers`; layers that were asked for
            and are sealed already may be there and are ignored.

        Raises
        ------
        LayoutError
            No such row group, layers missing or unknown, or a block that is not the whole row group.
        NonFiniteError, RangeError
            Activations that must not be stored. Nothing of the row group was written.
        CorruptError
            A shard lies there that this network cannot have made.
        WriteError
            The place refused.

        Notes
        -----
        Durable when it returns. A row group that has its marker is left alone.
        """
        self._demand_row_group(row_group)
        self._demand_layers(row_group, blocks)
        if self._sealed or self._marker(row_group, self._place.size) is not None:
            return
        with self.row_group(row_group) as writer:
            writer.append(blocks)

    def seal(self) -> None:
        """Commit: gather all markers into the manifest; from then on readers see the layers.

        Raises
        ------
        UnfinishedError
            Row groups are missing.
        CorruptError
            A marker, or a file it vouches for, is damaged.
        """
        if self._sealed:
            return
        # 1. Every row group has a marker that is this layer set's, and every shard it vouches for has its size.
        self._set_up()
        # Listings may lag behind what this process wrote a moment ago: what one lacks is asked for by its name.
        size_of = self._sizes()
        markers = [
            self._marker(g, size_of) or self._marker(g, self._place.size)
            for g in range(len(self.split.row_groups))
        ]
        missing = [g for g, marker in enumerate(markers) if marker is None]
        if missing:
            raise UnfinishedError(where=self.identity.label(), row_groups=missing, total=len(markers))
        # 2. Markers that another writer made may be a moment old. Power loss must not take one that the manifest, which
        #    survives it, follows from.
        for row_group, marker in enumerate(markers):
            if marker is not None and row_group not in self._marked:
                self._markers.make_durable(row_group, marker)
        # 3. The manifest follows from the markers alone, so any number of writers make the same one; creating it is
        #    the commit. The flags beside the layers are a courtesy to readers of plain Zarr, and may come later.
        manifest = manifest_of_markers(
            self._markers,
            [marker for marker in markers if marker is not None],
            layers=self.layers,
            metadata=self._metadata,
            generation=self._generation,
        )
        settle_record(self._place, self._markers.manifest_key, kind=MANIFEST, content=manifest.to_json())
        flag_sealed(self._place, self.identity, self.layers)
        self._sealed = True

    def _keep_sound_row_groups(self) -> None:
        """Take over the row groups that a retirement of these layers said are sound: mark them in this layer set too.

        Only where all layers of the set were retired, and for row groups that all of them keep: where one layer is
        missing the images must pass through the network anyway, and that is what costs.
        """
        if set(self._retired) != set(self.layers):
            return
        for row_group in sorted(set.intersection(*(set(layer.kept) for layer in self._retired.values()))):
            if self._markers.exists(row_group):
                continue
            records, provenance = kept_shards(self._place, self.identity.key, self._retired, row_group)
            self._set_up()
            self._mark(row_group, records, provenance=provenance)

    def _sizes(self) -> Callable[[str], int | None]:
        """Return a function from keys to sizes, from one listing of the dump."""
        return {entry.key: entry.n_bytes for entry in self._place.entries(self.identity.key)}.get

    def _demand_row_group(self, row_group: int) -> None:
        """Refuse row groups that the split does not have."""
        if not 0 <= row_group < len(self.split.row_groups):
            raise LayoutError(
                where=self.identity.label(),
                expected=f"a row group from 0 to {len(self.split.row_groups) - 1}",
                found=str(row_group),
                remedy="Take row groups from missing_row_groups().",
            )

    def _demand_layers(self, row_group: int, blocks: Mapping[str, npt.NDArray[Any]]) -> None:
        """Refuse layers that are missing, or that nobody asked for."""
        absent = sorted(set(self.layers) - set(blocks))
        unknown = sorted(set(blocks) - self.requested)
        if absent or unknown:
            raise LayoutError(
                where=f"{self.identity.label()}, row group {row_group}",
                expected=f"blocks of the layers {sorted(self.layers)}",
                found=f"missing {absent}, unknown {unknown}",
                remedy="Write all layers of a row group in one call, under the names of begin_dump.",
            )

    def _marker(self, row_group: int, size_of: Callable[[str], int | None]) -> dict[str, Any] | None:
        """Return a row group's marker, its shards found in place, or None where there is none."""
        if size_of(self._markers.key(row_group)) is None:
            return None
        self._set_up()
        return self._markers.read(row_group, metadata=self._metadata, size_of=size_of)

    def _mark(
        self,
        row_group: int,
        records: Mapping[str, ShardRecord],
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Create the marker that vouches for the shards of a row group."""
        made_by = self.provenance if provenance is None else provenance
        self._markers.create(row_group, records, metadata=self._metadata, provenance=made_by)
        self._marked.add(row_group)

    def _slot(self, layer: str, row_group: int) -> ShardSlot:
        """Return where a block of this layer set belongs."""
        return ShardSlot(
            place=self._place,
            dump=self.identity,
            layer=layer,
            spec=self.layers[layer],
            row_group=row_group,
            bounds=self.split.row_groups[row_group],
            metadata=self._metadata[layer],
        )

    def _set_up(self) -> None:
        """Create groups, arrays and coordinates that are not there; keep the metadata that is."""
        if not self._metadata:
            self._metadata = set_up_layers(
                self._place, self.identity, self.split, self.layers, encoding=self._encoding
            )
