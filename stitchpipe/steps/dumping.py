"""The third step: a model runs once over a split, and the outputs of its chosen layers go to the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stitchpipe import capture
from stitchpipe.config import ConfigError, ControlModel, RandomCodes, StoredData, declared_toml
from stitchpipe.run.activations import dump_declaration
from stitchpipe.run.declared import architecture_of
from stitchpipe.run.names import LayerName
from stitchpipe.run.place import dump_record
from stitchpipe.steps.controls import dump_codes, dump_permuted
from stitchpipe.steps.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.data import ImageSplit
    from stitchpipe.run import Run
    from storage import Split, Store


def dump(
    run: Run, model: str, split: str, *, part: tuple[int, int] = (0, 1), report: Report = silent
) -> dict[str, Any]:
    """Write the chosen layers of `model` on `split` to the store and seal them; return the dump's record.

    `split` may be an augmented split, as ``train+1``, and the model a control, which is written by one process.

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
    run.activations.demand_room()
    store = run.writable_store()
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
    declared = run.sweep.network(model)
    network = run.networks.loaded(model)
    run.fix_threads()
    images = run.data.split(split)
    add_split(run, store, images)
    done = asdict(
        capture.dump(
            network,
            images,
            store,
            model=model,
            architecture=architecture_of(declared),
            layers=layers,
            settings=run.extent.settings,
            device=run.device,
            part=part,
            on_row_group=report,
        )
    )
    return {**done, "layers": list(layers), "declaration": dump_declaration(run.sweep, declared, split)}


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
        provenance={"data_digest": images.digest, "preprocessing": images.preprocessing},
        **plan,
    )


def parse_part(text: str) -> tuple[int, int]:
    """Return ``"2/4"``, the second of four parts, as ``(1, 4)``.

    Raises
    ------
    ConfigError
        It is not K/N with K from 1 to N.
    """
    first, _, last = text.partition("/")
    if first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first) - 1, int(last)
    raise ConfigError(
        where="--part",
        expected="K/N, the K-th of N parts, K from 1 to N",
        found=f"'{text}'",
        remedy="Start N processes, with --part 1/N to N/N.",
    )
