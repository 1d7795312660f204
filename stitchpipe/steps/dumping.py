"""The third step: a model runs once over a split, and the outputs of its chosen layers go to the store."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from stitchpipe import capture
from stitchpipe.config import ControlModel, RandomCodes, StoredData, declared_toml
from stitchpipe.run.activations import dump_declaration
from stitchpipe.run.declared import architecture_of
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.names import LayerName
from stitchpipe.steps.controls import dump_codes, dump_permuted
from stitchpipe.steps.doneness import dumped
from stitchpipe.steps.naming import about
from stitchpipe.steps.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.capture import DumpRecord
    from stitchpipe.data import ImageSplit
    from stitchpipe.run import Run
    from storage import Split, Store

logger = logging.getLogger(__name__)


def dump(
    run: Run, model: str, split: str, *, part: tuple[int, int] = (0, 1), report: Report = silent
) -> dict[str, Any]:
    """Write the chosen layers of `model` on `split` to the store and seal them; return the dump's record.

    `split` may be an augmented split, as ``train+1``, and the model a control, which is written by one process.

    Where memory runs out, half as many images go through the network at a time, and so on down to one. The size of a
    batch is part of what a dump is known by: the record tells it, and so does the log.

    A sealed dump is skipped, an interrupted one goes on at the row groups that are missing. `part` is ``(k, n)`` where
    n processes or machines share the dump: each writes its range of row groups, and whoever is last seals. `report`
    counts row groups.

    Raises
    ------
    ConfigError
        The model has no weights yet, or the sweep keeps no activations.
    stitchpipe.models.OtherWeightsError
        Its weights are others than those on record.
    stitchpipe.capture.CaptureError, storage.StoreError
        The model is not deterministic in eval mode; values are not finite or do not fit the dtype.
    """
    run.activations.demand_dumps()
    known = dumped(run, model, split)
    if known is not None:
        report(1, 1)
        return {**known, "row_groups_written": 0}
    with about(model):
        return _dumped(run, model, split, part, report)


def _dumped(run: Run, model: str, split: str, part: tuple[int, int], report: Report) -> dict[str, Any]:
    """Write what is missing of a dump, seal it, and put it on record."""
    run.activations.demand_room()
    store = run.writable_store()
    if run.sweep.part_of is None or run.place.declaration() is None:
        run.place.declare(declared_toml(run.sweep))
    declared = run.sweep.model(model)
    layers = [info.name for info in run.layers.of(model)]
    if isinstance(declared, ControlModel):
        record = _dump_control(run, store, declared, split, layers)
        is_sealed = True
        report(1, 1)
    else:
        record = _dump_network(run, store, model, split, layers, part, report)
        is_sealed = bool(record["sealed"])
    if is_sealed:
        run.place.files.put_record(dump_record(model, split), record)
    return record


def _dump_network(
    run: Run,
    store: Store,
    model: str,
    split: str,
    layers: Sequence[str],
    part: tuple[int, int],
    report: Report,
) -> dict[str, Any]:
    """Run a network over a split; return what the dump's record holds."""
    declared, settings = run.sweep.network(model), run.extent.settings
    network = run.networks.loaded(model)
    run.fix_threads()
    images = run.data.split(split)
    add_split(run, store, images)
    for remark in images.remarks:
        logger.warning("images of '%s': %s", images.name, remark)

    def with_batches_of(size: int) -> DumpRecord:
        return capture.dump(
            network,
            images,
            store,
            model=model,
            architecture=architecture_of(declared),
            layers=layers,
            settings=replace(settings, batch_size=size),
            device=run.device,
            part=part,
            on_row_group=report,
        )

    done, batch_size = _as_memory_allows(with_batches_of, settings.batch_size, f"dump {model} {split}")
    return {
        **asdict(done),
        "layers": list(layers),
        "batch_size": batch_size,
        "declaration": dump_declaration(run.sweep, declared, split),
    }


def _as_memory_allows(
    dump_with: Callable[[int], DumpRecord], batch_size: int, unit: str
) -> tuple[DumpRecord, int]:
    """Return a dump and the size of its batches: as declared, or half of it and so on where memory runs out."""
    while True:
        try:
            return dump_with(batch_size), batch_size
        except (torch.cuda.OutOfMemoryError, MemoryError):
            if batch_size == 1:
                raise
        # Outside of the handler: its exception holds what filled the memory.
        batch_size //= 2
        logger.warning("%s: memory ran out; going on with batches of %d images", unit, batch_size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _dump_control(
    run: Run, store: Store, declared: ControlModel, split: str, layers: Sequence[str]
) -> dict[str, Any]:
    """Write a control's layers on a split; return what the dump's record holds."""
    control, sweep = declared.control, run.sweep
    if isinstance(sweep.data, StoredData):
        samples = store.split(sweep.data.label, split)
    else:
        samples = add_split(run, store, run.data.split(split))
    if isinstance(control, RandomCodes):
        written = dump_codes(store, samples, declared, control, sweep.dump.dtype)
    else:
        stored = run.stored_activations()
        sources = {layer: stored.layer(LayerName(control.of, layer), split) for layer in layers}
        written = dump_permuted(store, samples, declared, control, sources)
    return {
        "declaration": dump_declaration(sweep, declared, split),
        "fingerprint": written.fingerprint,
        "layers": list(layers),
        "n_samples": samples.n_samples,
    }


def add_split(run: Run, store: Store, images: ImageSplit) -> Split:
    """Add the images' split, or find it there; a store that has it keeps the row groups it was cut into."""
    plan: dict[str, Any] = {"row_groups": run.sweep.dump.row_groups, "max_rows": run.extent.max_rows}
    if (images.dataset, images.name) in store.splits():
        # A split keeps the row groups it was cut into, whatever this sweep would cut now: all its dumps
        # share them.
        plan = dict(store.split(images.dataset, images.name).provenance.get("plan", plan))
    return store.add_split(
        images.dataset,
        images.name,
        images.sample_ids,
        labels=images.labels,
        class_names=images.class_names,
        groups=images.groups,
        provenance={"data_digest": images.digest, "preprocessing": images.preprocessing},
        **plan,
    )
