"""How much room the dumps of a sweep take, and whether there is that much."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

from stitchpipe.capture import Settings, StoredView, planned_peak_bytes
from stitchpipe.capture.settings import Precision
from stitchpipe.config import ConfigError, ControlModel, Sweep
from stitchpipe.data import parse_split_name
from stitchpipe.graph import LOGITS
from stitchpipe.sweep.augmented_splits import dumped_splits
from stitchpipe.sweep.networks import SPLITS, device_of, layer_table, output_width, splits
from storage import Encoding, open_place, rows_of_shard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.sweep.folder import Folder

ITEM_BYTES = {"float32": 4, "float16": 2}
GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10


def settings(sweep: Sweep) -> Settings:
    """Return what dumps are made with."""
    declared = sweep.dump
    writers = sweep.run.writers or (4 if device_of(sweep).type == "cuda" else 1)
    return Settings(
        dtype=declared.dtype,
        batch_size=declared.batch_size,
        view=StoredView(declared.view, declared.positions, declared.positions_seed),
        precision=Precision(declared.autocast, declared.tf32),
        encoding=Encoding(declared.codec, declared.chunk_kib * KIB),
        queue_bytes=sweep.run.queue_mib * MIB,
        writers=writers,
    )


def stored_shapes(sweep: Sweep) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Return model → layer → shape of one sample as a dump stores it, the logits too; of the models that are run."""
    networks = sweep.networks
    return _stored_shapes(sweep.model_copy(update={"models": networks}).model_dump_json()) if networks else {}


@lru_cache(maxsize=4)
def _stored_shapes(declared: str) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    # By its text, because a declaration holds tables, which cannot be keys of a cache.
    sweep = Sweep.model_validate_json(declared)
    view = settings(sweep).view
    return {
        model: {
            **{info.name: view.shape(info.shape) for info in infos},
            LOGITS: (output_width(sweep, sweep.network(model)),),
        }
        for model, infos in layer_table(sweep).items()
    }


def max_rows(sweep: Sweep) -> int:
    """Return how many images a row group may hold, so that a shard of the largest layer stays within its size."""
    item = ITEM_BYTES[sweep.dump.dtype]
    shapes = [shape for layers in stored_shapes(sweep).values() for shape in layers.values()]
    largest = max(map(prod, shapes), default=1)
    return rows_of_shard(item * largest, shard_bytes=sweep.dump.shard_mib * MIB)


def activation_bytes(sweep: Sweep, folder: Folder | None = None) -> dict[tuple[str, str], int]:
    """Return the bytes of each (model, split), before compression: the most that a dump can take.

    `folder` is needed where a model was ingested and training images are augmented.
    """
    item, shapes = ITEM_BYTES[sweep.dump.dtype], dict(stored_shapes(sweep))
    runs: dict[str, tuple[str, ...]] = dict.fromkeys(shapes, SPLITS)
    if sweep.dump.augment is not None or any(isinstance(model, ControlModel) for model in sweep.models):
        table = layer_table(sweep, folder)
        runs = dumped_splits(sweep, table)
        shapes |= {
            model: {info.name: info.shape for info in table[model]} for model in runs.keys() - shapes.keys()
        }
    return {
        (model, split): item
        * sum(map(prod, layers.values()))
        * len(splits(sweep.data)[parse_split_name(split)[0]])
        for model, layers in shapes.items()
        for split in runs[model]
    }


def peak_bytes(sweep: Sweep) -> int:
    """Return the most that a dump holds in memory, beside the network and its forward pass."""
    shapes = stored_shapes(sweep).values()
    return max((planned_peak_bytes(list(layers.values()), settings(sweep)) for layers in shapes), default=0)


def demand_room(sweep: Sweep, folder: Folder) -> None:
    """Refuse dumps that could take more than the declared budget, or than there is room for.

    Activations that are not kept take none. What is dumped already is not counted against the room that is left.

    Raises
    ------
    ConfigError
        Says how much it could take and how much there is.
    """
    if not sweep.dump.keep:
        return
    sizes = activation_bytes(sweep, folder)
    total, budget = sum(sizes.values()), sweep.store.budget_gib
    smaller = "Choose fewer layers, dtype = 'float16', or view = 'pooled' in [dump]"
    if budget is not None and total > budget * GIB:
        raise ConfigError(
            where="store.budget_gib",
            expected=f"dumps of at most {budget:g} GiB before compression",
            found=f"{total / GIB:.3g} GiB",
            remedy=f"{smaller}, or raise the budget.",
        )
    missing = sum(
        size for (model, split), size in sizes.items() if not folder.dump_record(model, split).exists()
    )
    free = open_place(folder.store_of(sweep)).free_bytes() if missing else None
    if free is not None and missing > free:
        raise ConfigError(
            where=folder.store_of(sweep),
            expected=f"room for {missing / GIB:.3g} GiB of activations, before compression",
            found=f"{free / GIB:.3g} GiB",
            remedy=f"{smaller}, or put the store elsewhere ([store] url).",
        )
