"""A sweep with its defaults filled in, and what running it would come to, for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.algebra.deletions import MOST_RANKS
from stitchpipe.cli import zoo_tables
from stitchpipe.cli.durations import duration_of
from stitchpipe.config import declared_toml
from stitchpipe.run.names import TEST, TRAIN
from stitchpipe.sizes import size_of
from stitchpipe.steps.forecast import EngineWork, Forecast, forecast
from stitchpipe.steps.forecast_seconds import engine_seconds, single_layer_seconds
from stitchpipe.steps.network_seconds import network_seconds
from stitchpipe.steps.work_units import check_declaration
from storage import open_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from stitchpipe.config import Sweep
    from stitchpipe.run import Run
    from stitchpipe.steps.forecast_seconds import EngineSeconds


FEW: Final = 8
"""Networks that `plan` builds where it must: to list layers that are not on record, and to time forward passes."""
SHOWN: Final = 12
"""Models that a line of a table names one by one."""


def describe(run: Run) -> RenderableType:
    """Return a run's declaration, defaults filled in, what its rules name, what there is to do, and its forecast.

    Of many networks none is built: what those will come to that are not inspected yet is not known, and is said to be.
    Raises the errors of `forecast`, and ConfigError where there is no room for the dumps.
    """
    check_declaration(run, ("inspect",))
    inspected = {declared.name for declared in run.layers.on_record()}
    unknown = [declared.name for declared in run.sweep.networks if declared.name not in inspected]
    known = run.without(unknown) if len(unknown) > FEW else run
    # Never wrapped: a line cut in two is no TOML any more.
    parts: list[RenderableType] = [Text(_declaration(run.sweep), no_wrap=True, overflow="ignore")]
    if known.sweep.models:
        parts.append(_forecast(known, [] if known is not run else unknown))
    parts += [*zoo_tables.rules(run, inspected), zoo_tables.phases(run, known)]
    if known is not run:
        parts.append(zoo_tables.not_inspected(run.sweep, unknown))
    return Group(*parts)


def _declaration(sweep: Sweep) -> str:
    """Return a sweep as TOML, without the models of its rules: they have a table."""
    own = tuple(model for model in sweep.models if getattr(model, "rule", None) is None)
    return declared_toml(sweep.model_copy(update={"models": own}))


def _forecast(run: Run, unknown: Sequence[str]) -> Table:
    """Return what the work comes to, if nothing of it were there yet; `unknown` were never inspected, and are now."""
    ahead, sweep = forecast(run), run.sweep
    run.activations.demand_room()
    is_live = run.activations.all_views_at_once
    view = Table(title="What it would do", title_justify="left", show_header=False)
    rows: list[tuple[str, str]] = [
        ("images", ", ".join(f"{count} {name}" for name, count in ahead.images.items())),
        *((f"images of {name}", "\n".join(said)) for name, said in ahead.image_remarks.items() if said),
        ("layers", _layers_of(ahead)),
        *_hook_rows(ahead),
        *_built_rows(run, unknown),
        ("row groups", ", ".join(f"{count} of {name}" for name, count in ahead.row_groups.items())),
        *(_live_rows(ahead) if is_live else _dump_rows(ahead)),
    ]
    for title, work in (("compare", ahead.comparison), ("fit maps", ahead.fitting)):
        if work is not None:
            took = engine_seconds(run, work, reads=not is_live)
            rows += _engine_rows(run, title, work, took, reads=not is_live)
            rows += _single_layer_rows(run, ahead, took) if title == "compare" else []
    rows.append(
        ("stitches", f"{ahead.stitches['dm']} direct matching, {ahead.stitches['tlm']} task loss matching")
    )
    rows += _left_out_rows(run)
    rows.append(
        ("stitch training", f"{ahead.training_steps} optimiser steps on {ahead.images.get(TRAIN, 0)} images")
    )
    rows += _detector_rows(sweep, ahead)
    rows.append(("scored on", f"{ahead.images[TEST]} images"))
    rows.append(("run", run.place.url))
    rows.append(("store", _where_store_lies(run)))
    rows += _network_rows(run, ahead, dumps=not is_live)
    for name, text in rows:
        view.add_row(name, Text(text))
    return view


def _left_out_rows(run: Run) -> list[tuple[str, str]]:
    """Return the pairs that globs of stitches match and that cannot be stitched, counted by what would be needed."""
    needs = Counter(run.planned_stitches.left_out.values())
    return [
        ("" if number else "left out", f"{count} pairs that globs match, for want of {need}")
        for number, (need, count) in enumerate(needs.most_common())
    ]


def _layers_of(ahead: Forecast) -> str:
    counts = ahead.layers
    if len(counts) <= SHOWN:
        return ", ".join(f"{count} of {model}" for model, count in counts.items())
    least, most = min(counts.values()), max(counts.values())
    each = str(most) if least == most else f"{least} to {most}"
    return f"{sum(counts.values())} of {len(counts)} models, {each} each"


def _built_rows(run: Run, unknown: Sequence[str]) -> list[tuple[str, str]]:
    """Return how many networks this plan had to build, and why: each only counts what is on record otherwise."""
    networks = run.sweep.networks
    if not networks:
        return []
    lacking = f"{len(unknown)} to list their layers ({', '.join(unknown)}: `stitchpipe inspect` leaves them on record)"
    timed = f"{len(networks)} to time a few batches"
    reasons = [text for text, holds in ((lacking, unknown), (timed, len(networks) <= FEW)) if holds]
    return [("networks built", "; ".join(reasons) or "none")]


def _network_rows(run: Run, ahead: Forecast, *, dumps: bool) -> list[tuple[str, str]]:
    """Return about how long the steps take that run networks, where few have to be built to try it."""
    if not run.sweep.networks or len(run.sweep.networks) > FEW:
        return []
    took = network_seconds(run, ahead)
    stitching = f"stitching about {duration_of(took.stitch)}" if run.stitches else ""
    dumping = f"dumping about {duration_of(took.dump)}" if dumps else ""
    told = ", ".join(filter(None, (dumping, stitching)))
    return [("networks", f"{told} on this machine when idle")] if told else []


def _hook_rows(ahead: Forecast) -> list[tuple[str, str]]:
    """Return which models torch.fx cannot trace, and why; of many how many there are."""
    if len(ahead.by_hooks) > SHOWN:
        names = ", ".join([*ahead.by_hooks][:SHOWN])
        return [("run with hooks", f"{len(ahead.by_hooks)} models: {names}, …")]
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


def _live_rows(ahead: Forecast) -> list[tuple[str, str]]:
    """Return what is done instead of a dump where activations are not kept."""
    # Where nothing but images is compared, there is no pass over moments, and one over the images.
    passes = 0 if ahead.comparison is None else max(1, ahead.comparison.passes)
    often = {1: "once", 2: "twice"}.get(passes, f"{passes} times")
    images = " and ".join(f"{count} {name}" for name, count in ahead.run_over.items())
    return [
        (
            "activations to write",
            f"none: {size_of(ahead.activation_bytes)} before compression are not kept (dump.keep = false)",
        ),
        ("comparing runs", f"the networks {often} over {images or 'no'} images"),
        ("", f"at most {size_of(ahead.dump_peak_bytes)} held beside all networks and their forward passes"),
    ]


def _where_store_lies(run: Run) -> str:
    """Return where the store lies, and how much room is left there."""
    place = open_place(run.store_url)
    free = place.free_bytes()
    return place.url if free is None else f"{place.url} ({size_of(free)} free)"


def _single_layer_rows(run: Run, ahead: Forecast, pairs: EngineSeconds) -> list[tuple[str, str]]:
    """Return how many numbers of single layers there are, what they are read for, and about how long they take."""
    if not ahead.layer_questions:
        return []
    layers = f"{sum(ahead.layers.values())} layers under"
    views = [asked.view for asked in ahead.layer_questions if asked.measures]
    rows = [f"{ahead.layer_numbers} numbers, {layers} {' and '.join(views)}"] if views else []
    rows += [
        f"{len(asked.deletions)} indices at up to {MOST_RANKS} ranks and as many probes, {layers} {asked.view}"
        for asked in ahead.layer_questions
        if asked.deletions
    ]
    rows[-1] += "; each is read once more for each view"
    took = single_layer_seconds(run, ahead, pairs)
    rows.append(f"about {duration_of(took)} on this machine when idle")
    return [("" if number else "single layers", text) for number, text in enumerate(rows)]


def _engine_rows(
    run: Run, title: str, work: EngineWork, took: EngineSeconds, *, reads: bool
) -> list[tuple[str, str]]:
    """Return what one run of the engine costs in bytes and flops, and about how long it takes on this machine."""
    declared, cost = run.sweep.run, work.cost
    pairs = f"{work.pairs} directed pairs, under {' and '.join(work.views)}"
    seconds = ("", f"about {duration_of(took.total)} on this machine when idle: {_parts_of(took.parts)}")
    if not work.passes:
        return [(title, f"{pairs}, from the first images of each layer alone"), seconds]
    maps = f", {work.maps} maps of stitches among them" if work.maps else ""
    passes = f"{work.passes} pass{'es' * (work.passes > 1)} over the layers"
    read = f"{size_of(cost.bytes_read)} read" if reads else "nothing read"
    left = size_of(cost.temporary_bytes)
    bound = f" ({work.read_to_bound(declared.memory_limit_bytes):.2f} × the least that is possible)"
    return [
        (title, f"{pairs}{maps}, in {passes}"),
        ("", f"{read}{bound * reads}, {cost.flops:.3g} flops of products"),
        ("", f"at most {size_of(work.cost.peak_bytes)} held by each of {declared.workers} workers"),
        ("", f"{left} of summaries on disk at a time, {size_of(round(took.result_bytes))} of results"),
        seconds,
    ]


def _parts_of(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {duration_of(part)}" for name, part in seconds.items() if part >= 0.01)
