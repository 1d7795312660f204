"""What a sweep would do, from its description alone: counts, bytes, flops. Runs nothing, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.algebra.backends import open_backend
from stitchpipe.capture import planned_block_bytes
from stitchpipe.config import StoredData, declared_toml
from stitchpipe.engine import (
    BACKEND_BYTES,
    WORKER_BYTES,
    Evaluation,
    LayerShape,
    SplitShape,
    make_plan,
    measured_rates,
)
from stitchpipe.registry import index_measure
from stitchpipe.sizes import size_of
from stitchpipe.sweep.folder import Folder, opened_store
from stitchpipe.sweep.ingested import stored_splits
from stitchpipe.sweep.jobs import jobs
from stitchpipe.sweep.networks import SPLITS, TEST, TRAIN, layer_table, splits
from stitchpipe.sweep.room import (
    ITEM_BYTES,
    activation_bytes,
    demand_room,
    max_rows,
    peak_bytes,
    settings,
    stored_shapes,
)
from storage import chunk_rows, open_place, plan_split

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from stitchpipe.config import Sweep
    from stitchpipe.engine import Cost, Plan
    from stitchpipe.graph import LayerInfo


@dataclass(frozen=True, slots=True)
class Forecast:
    """The projected size of a sweep.

    Attributes
    ----------
    activation_bytes
        Before compression, all splits and models, logits too; what is spared where they are not kept.
    dump_peak_bytes
        What a dump holds in memory at most, beside the network and its forward pass; or what the process does that
        runs all networks for a comparison.
    row_groups
        By split.
    comparison
        Projected cost of all pairs under all views; None where none are compared.
    passes
        How often layers are read for it: passes over them.
    run_over
        Images by split that the networks run over in each pass; none where activations are kept.
    detectors
        How many are trained: one for each target layer of a stitch, where one is declared.
    by_hooks
        Why models are run with hooks, by name; those that are traced are not among them.
    """

    images: dict[str, int]
    layers: dict[str, int]
    activation_bytes: int
    dump_peak_bytes: int
    row_groups: dict[str, int]
    comparison: Cost | None
    passes: int
    run_over: dict[str, int]
    stitches: dict[str, int]
    training_steps: int
    detectors: int
    by_hooks: dict[str, str]


def forecast(sweep: Sweep, folder: Folder | None = None) -> Forecast:
    """Return what a sweep would read, form, hold and train.

    Raises the errors of `stitchpipe.sweep.units.units`, and PlanError where a comparison cannot fit.
    """
    table, sizes, stored = layer_table(sweep, folder), _sizes(sweep, folder), stored_shapes(sweep)
    shapes = [
        _shape_of(sweep, sizes, model, info, stored.get(model, {}).get(info.name, info.shape))
        for model, infos in table.items()
        for info in infos
    ]
    declared = jobs(sweep, table)
    plan = _plan(sweep, shapes, sizes) if sweep.compare else None
    trained = sum(job.budget is not None for job in declared)
    return Forecast(
        images={size.name: size.n_samples for size in sizes},
        layers={model: len(infos) for model, infos in table.items()},
        activation_bytes=sum(activation_bytes(sweep, folder).values()),
        dump_peak_bytes=peak_bytes(sweep) if plan is None or sweep.dump.keep else _direct_peak(sweep, plan),
        row_groups={size.name: len(size.row_groups) for size in sizes},
        comparison=None if plan is None else plan.cost,
        passes=0 if plan is None else len(plan.passes),
        run_over={}
        if plan is None or sweep.dump.keep
        else {split.name: split.n_samples for split in plan.splits},
        stitches={"dm": len(declared) - trained, "tlm": trained},
        training_steps=sum(job.budget.steps for job in declared if job.budget is not None),
        detectors=len({job.target for job in declared}) if sweep.ood.detector is not None else 0,
        by_hooks={model: infos[0].by_hooks for model, infos in table.items() if infos and infos[0].by_hooks},
    )


def _shape_of(
    sweep: Sweep, sizes: list[SplitShape], model: str, layer: LayerInfo, shape: tuple[int, ...]
) -> LayerShape:
    """Return a layer as its dump will hold it."""
    item = ITEM_BYTES[sweep.dump.dtype]
    rows = [size.row_groups[0][1] for size in sizes]
    chunk = max(chunk_rows(n, item * prod(shape), target_bytes=sweep.dump.chunk_kib << 10) for n in rows)
    chunk = chunk if sweep.dump.keep else 1
    return LayerShape(model, layer.name, ("", ""), shape, item, chunk, layer.tokens)


def _sizes(sweep: Sweep, folder: Folder | None) -> list[SplitShape]:
    """Return the splits that a sweep reads: cut as its dumps will, or as they lie in the store."""
    if isinstance(sweep.data, StoredData) and folder is not None:
        store = opened_store(sweep, folder)
        found = {name: store.split(sweep.data.label, name) for name in stored_splits(sweep, store)}
        return [SplitShape(sweep.data.label, name, split.row_groups) for name, split in found.items()]
    data = splits(sweep.data)
    return [
        SplitShape(
            sweep.data.label,
            name,
            plan_split(
                data[name].sample_ids, row_groups=sweep.dump.row_groups, max_rows=max_rows(sweep)
            ).bounds,
        )
        for name in SPLITS
    ]


def describe(sweep: Sweep, root: Path) -> RenderableType:
    """Return a sweep's declaration, defaults filled in, and its forecast, for the terminal.

    Raises the errors of `forecast`, and ConfigError where there is no room for the dumps.
    """
    ahead = forecast(sweep, Folder(root))
    demand_room(sweep, Folder(root))
    view = Table(title="What it would do", title_justify="left", show_header=False)
    rows: list[tuple[str, str]] = [
        ("images", ", ".join(f"{count} {name}" for name, count in ahead.images.items())),
        ("layers", ", ".join(f"{count} of {model}" for model, count in ahead.layers.items())),
        *_hook_rows(ahead),
        ("row groups", ", ".join(f"{count} of {name}" for name, count in ahead.row_groups.items())),
        *(_dump_rows(ahead) if sweep.dump.keep else _direct_rows(ahead)),
    ]
    if ahead.comparison is not None:
        rows += _comparison_rows(sweep, ahead.comparison, ahead.passes)
    rows.append(
        ("stitches", f"{ahead.stitches['dm']} direct matching, {ahead.stitches['tlm']} task loss matching")
    )
    rows.append(
        ("stitch training", f"{ahead.training_steps} optimiser steps on {ahead.images.get(TRAIN, 0)} images")
    )
    rows += _detector_rows(sweep, ahead)
    rows.append(("scored on", f"{ahead.images[TEST]} images"))
    rows.append(("folder", str(root)))
    rows.append(("store", _room(sweep, Folder(root))))
    for name, text in rows:
        view.add_row(name, Text(text))
    # Never wrapped: a line cut in two is no TOML any more.
    return Group(Text(declared_toml(sweep), no_wrap=True, overflow="ignore"), view)


def _hook_rows(ahead: Forecast) -> list[tuple[str, str]]:
    """Return which models torch.fx cannot trace, and why."""
    return [
        ("" if number else "run with hooks", f"{model}: {reason}")
        for number, (model, reason) in enumerate(ahead.by_hooks.items())
    ]


def _detector_rows(sweep: Sweep, ahead: Forecast) -> list[tuple[str, str]]:
    declared = sweep.ood.detector
    if declared is None or not ahead.detectors:
        return []
    images = min(declared.images, ahead.images.get(TRAIN, 0))
    epochs = f"{declared.epochs} + {declared.finetune_epochs} epochs"
    return [("detectors", f"{ahead.detectors}, one for each target layer: {epochs} on {images} images")]


def _dump_rows(ahead: Forecast) -> list[tuple[str, str]]:
    return [
        ("activations to write", f"{size_of(ahead.activation_bytes)} before compression"),
        ("dump", f"at most {size_of(ahead.dump_peak_bytes)} held beside the network's own forward pass"),
    ]


def _direct_rows(ahead: Forecast) -> list[tuple[str, str]]:
    """Return what is done instead of a dump where activations are not kept."""
    often = {1: "once", 2: "twice"}.get(ahead.passes, f"{ahead.passes} times")
    images = " and ".join(f"{count} {name}" for name, count in ahead.run_over.items())
    return [
        (
            "activations to write",
            f"none: {size_of(ahead.activation_bytes)} before compression are not kept (dump.keep = false)",
        ),
        ("comparing runs", f"the networks {often} over {images or 'no'} images"),
        ("", f"at most {size_of(ahead.dump_peak_bytes)} held beside all networks and their forward passes"),
    ]


def _direct_peak(sweep: Sweep, plan: Plan) -> int:
    """Return what the process that runs all networks holds at most, beside them and their forward passes."""
    shapes = [shape for layers in stored_shapes(sweep).values() for shape in layers.values()]
    sums = plan.cost.peak_bytes - WORKER_BYTES - BACKEND_BYTES[plan.backend]
    return sums + planned_block_bytes(shapes, settings(sweep), samples=plan.blocks.samples)


def _room(sweep: Sweep, folder: Folder) -> str:
    """Return where the store lies, and how much room is left there."""
    place = open_place(folder.store_of(sweep))
    free = place.free_bytes()
    return place.url if free is None else f"{place.url} ({size_of(free)} free)"


def _plan(sweep: Sweep, shapes: list[LayerShape], sizes: list[SplitShape]) -> Plan:
    pairs = frozenset((source, target) for source in range(len(shapes)) for target in range(len(shapes)))
    indices = [index_measure(index) for one in sweep.compare for index in one.indices]
    held_out = any(index.held_out for index in indices)
    return make_plan(
        shapes,
        {one.view: pairs for one in sweep.compare},
        splits=sizes if held_out else sizes[-1:],
        memory_limit_bytes=sweep.run.memory_limit_bytes,
        precision=sweep.run.products,
        evaluation=Evaluation.of(indices, intervals=sweep.certainty.intervals),
        backend=sweep.run.backend,
    )


def _comparison_rows(sweep: Sweep, cost: Cost, passes: int) -> list[tuple[str, str]]:
    """Return what comparing costs, and the least time that this machine's rates allow; forward passes aside."""
    run = sweep.run
    rates = measured_rates(run.products, open_backend(run.backend, run.device))
    seconds = {
        "products": cost.flops / rates.flops_per_s,
        "finalisation": cost.finalisation_flops / rates.finalisation_flops_per_s,
    }
    read = "nothing"
    if sweep.dump.keep:
        read, seconds["reading"] = size_of(cost.bytes_read), cost.bytes_read / rates.read_bytes_per_s
    bound = ", ".join(f"{name} {one / sweep.run.workers:.3g} s" for name, one in seconds.items())
    views = " and ".join(one.view for one in sweep.compare)
    return [
        (
            "compare",
            f"{cost.pairs} directed pairs, under {views}, in {passes} pass{'es' * (passes > 1)} over the layers",
        ),
        (
            "",
            f"{read} read, {cost.flops:.3g} flops of products, {cost.finalisation_flops:.2g} after",
        ),
        ("", f"at most {size_of(cost.peak_bytes)} held by each of {sweep.run.workers} workers"),
        ("", f"no faster on this machine than {bound}"),
    ]
