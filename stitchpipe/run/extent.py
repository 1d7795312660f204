"""How much a sweep runs and stores: over which splits, in what shapes, with which settings; and if it fits."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final

from stitchpipe.capture import Settings, StoredView, planned_peak_bytes
from stitchpipe.capture.settings import Precision
from stitchpipe.config import ConfigError, IngestedModel, NetworkModel, StoredData
from stitchpipe.data import parse_split_name
from stitchpipe.graph import LOGITS
from stitchpipe.run.declared import permuted_model
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.names import SPLITS
from stitchpipe.run.networks import device_of
from storage import Encoding, open_place, rows_of_shard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.run.opened import OpenedSweep

ITEM_BYTES: Final = {"float32": 4, "float16": 2}
GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10


class Extent:
    """What the dumps of a run come to; from records and declarations, no network is built for it."""

    def __init__(self, run: OpenedSweep) -> None:
        self._run = run

    @cached_property
    def settings(self) -> Settings:
        """What dumps are made with."""
        declared, run = self._run.sweep.dump, self._run.sweep.run
        # A forward pass on a GPU outruns one thread that compresses; on a CPU further threads would take
        # time from it.
        writers = run.writers or (4 if device_of(self._run.sweep).type == "cuda" else 1)
        return Settings(
            dtype=declared.dtype,
            batch_size=declared.batch_size,
            view=StoredView(declared.view, declared.positions, declared.positions_seed),
            precision=Precision(declared.autocast, declared.tf32),
            encoding=Encoding(declared.codec, declared.chunk_kib * KIB),
            queue_bytes=run.queue_mib * MIB,
            writers=writers,
        )

    @cached_property
    def stored_shapes(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        """Model → layer → shape of one sample as a dump stores it, logits too; of the models that are run."""
        view, run = self.settings.view, self._run
        return {
            declared.name: {
                **{info.name: view.shape(info.shape) for info in run.layers.table[declared.name]},
                **self._logits(declared),
            }
            for declared in run.sweep.models
            if isinstance(declared, NetworkModel)
        }

    def _logits(self, declared: NetworkModel) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of a network's logits by their name; nothing of one that gives features."""
        width = self._run.layers.inspection(declared).output_width
        return {} if width is None else {LOGITS: (width,)}

    @cached_property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Over which splits each model runs: augmented ones too where a stitch reads them."""
        sweep = self._run.sweep
        augmented = self._augmented_models() if sweep.dump.augment is not None else set()
        more = self._run.data.augmented_splits()
        return {
            model.name: (*SPLITS, *(more if model.name in augmented else ()))
            for model in sweep.models
            if not isinstance(model, IngestedModel)
        }

    def _augmented_models(self) -> set[str]:
        """Return the models whose activations on augmented images a stitch reads, and those that they are made from."""
        read = {
            name.model
            for stitch in self._run.stitches
            if stitch.budget is not None and stitch.budget.augmented
            for name in stitch.reads()
        }
        # A control is made from another model's dump on the same split, so that model must run over it too.
        origins = (permuted_model(self._run.sweep.model(model)) for model in read)
        return read | {origin for origin in origins if origin is not None}

    @cached_property
    def max_rows(self) -> int:
        """How many images a row group may hold, so that a shard of the largest layer stays within its size."""
        dump = self._run.sweep.dump
        shapes = (shape for layers in self.stored_shapes.values() for shape in layers.values())
        # One cut into row groups serves all layers, so the largest layer sets it.
        largest = max(map(prod, shapes), default=1)
        return rows_of_shard(ITEM_BYTES[dump.dtype] * largest, shard_bytes=dump.shard_mib * MIB)

    @cached_property
    def activation_bytes(self) -> Mapping[tuple[str, str], int]:
        """Bytes of every dump, by model and split, before compression."""
        run = self._run
        item, shapes = ITEM_BYTES[run.sweep.dump.dtype], dict(self.stored_shapes)
        shapes |= {
            model: {info.name: info.shape for info in run.layers.table[model]}
            for model in self.splits.keys() - shapes.keys()
        }
        samples = self._samples() if shapes else {}
        return {
            (model, split): item * sum(map(prod, layers.values())) * samples[parse_split_name(split)[0]]
            for model, layers in shapes.items()
            for split in self.splits[model]
        }

    def images(self, split: str) -> int:
        """Return how many images a split has, or an augmented one such as ``train+1``."""
        return self._samples()[parse_split_name(split)[0]]

    def _samples(self) -> Mapping[str, int]:
        """Return how many images each split has: of the data, or as the store has them where it is all there is."""
        run = self._run
        if not isinstance(run.sweep.data, StoredData):
            return {name: len(images) for name, images in run.data.splits.items()}
        store = run.store
        return {
            name: store.split(run.sweep.data.label, name).n_samples for name in run.ingested.splits(store)
        }

    @property
    def peak_bytes(self) -> int:
        """The most that a dump holds in memory, beside the network and its forward pass."""
        shapes = self.stored_shapes.values()
        return max((planned_peak_bytes(list(layers.values()), self.settings) for layers in shapes), default=0)

    def demand_room(self) -> None:
        """Refuse dumps that could take more than the declared budget, or than there is room for.

        What is dumped already is not counted against the room that is left.

        Raises
        ------
        ConfigError
            Says how much it could take and how much there is.
        """
        run, sizes = self._run, self.activation_bytes
        total, budget = sum(sizes.values()), run.sweep.store.budget_gib
        smaller = "Choose fewer layers, dtype = 'float16', or view = 'pooled' in [dump]"
        if budget is not None and total > budget * GIB:
            raise ConfigError(
                where="store.budget_gib",
                expected=f"dumps of at most {budget:g} GiB before compression",
                found=f"{total / GIB:.3g} GiB",
                remedy=f"{smaller}, or raise the budget.",
            )
        files = run.place.files
        # What has a record is on disk already, and takes none of the room that is left.
        missing = sum(
            size for (model, split), size in sizes.items() if files.record(dump_record(model, split)) is None
        )
        free = open_place(run.store_url).free_bytes() if missing else None
        if free is not None and missing > free:
            raise ConfigError(
                where=run.store_url,
                expected=f"room for {missing / GIB:.3g} GiB of activations, before compression",
                found=f"{free / GIB:.3g} GiB",
                remedy=f"{smaller}, or put the store elsewhere ([store] url).",
            )
