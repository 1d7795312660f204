"""What a run would do, from its description alone: counts, bytes, flops. Runs nothing, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from stitchpipe.capture import planned_block_bytes
from stitchpipe.config import StoredData
from stitchpipe.engine import BACKEND_BYTES, WORKER_BYTES, Evaluation, LayerShape, SplitShape, make_plan
from stitchpipe.registry import index_measure
from stitchpipe.run.extent import ITEM_BYTES, KIB
from stitchpipe.run.names import SPLITS
from stitchpipe.run.run_keys import STITCH_VIEW
from storage import chunk_rows, plan_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.engine import Cost, Plan
    from stitchpipe.graph import LayerInfo
    from stitchpipe.rows import View
    from stitchpipe.run import LayerName, Run


@dataclass(frozen=True, slots=True)
class EngineWork:
    """One planned run of the engine, as the steps carry it out.

    Attributes
    ----------
    views
        Under which pairs are compared or maps fitted.
    maps
        How many least-squares maps are fitted and kept for stitches.
    passes
        How often layers are read for it: passes over them.
    peak_bytes
        What each worker holds at most.
    """

    views: tuple[View, ...]
    maps: int
    cost: Cost
    passes: int
    peak_bytes: int

    @classmethod
    def of(cls, plan: Plan, views: Sequence[View], maps: int) -> EngineWork:
        """Describe a plan."""
        return cls(tuple(views), maps, plan.cost, len(plan.passes), plan.cost.peak_bytes)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The projected size of a run.

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
        All pairs under all views, and the maps of stitches where their view is among these; None where none are
        compared.
    fitting
        Maps of stitches that no comparison fits; None where there are none.
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
    comparison: EngineWork | None
    fitting: EngineWork | None
    run_over: dict[str, int]
    stitches: dict[str, int]
    training_steps: int
    detectors: int
    by_hooks: dict[str, str]


def forecast(run: Run) -> Forecast:
    """Return what a run would read, form, hold and train, if nothing were there yet.

    Raises the errors of `stitchpipe.steps.units`, and PlanError where a comparison cannot fit.
    """
    table, splits = run.layers.table, _splits(run)
    planner = _Planner(run, splits)
    compared = planner.comparison() if run.sweep.compare else None
    joins = any(declared.view == STITCH_VIEW for declared in run.sweep.compare)
    fitted = None if joins or not planner.maps else planner.fitting()
    is_live = run.activations.all_views_at_once
    trained = [planned.budget for planned in run.stitches if planned.budget is not None]
    views = [declared.view for declared in run.sweep.compare]
    maps = sum(map(len, planner.maps.values()))
    return Forecast(
        images={split.name: split.n_samples for split in splits},
        layers={model: len(infos) for model, infos in table.items()},
        activation_bytes=sum(run.extent.activation_bytes.values()),
        dump_peak_bytes=_live_peak(run, compared) if is_live and compared else run.extent.peak_bytes,
        row_groups={split.name: len(split.row_groups) for split in splits},
        comparison=None if compared is None else EngineWork.of(compared, views, maps if joins else 0),
        fitting=None if fitted is None else EngineWork.of(fitted, [STITCH_VIEW], maps),
        run_over={split.name: split.n_samples for split in compared.splits} if is_live and compared else {},
        stitches={"dm": len(run.stitches) - len(trained), "tlm": len(trained)},
        training_steps=sum(budget.steps for budget in trained),
        detectors=len({planned.target for planned in run.stitches}) if run.sweep.ood.detector else 0,
        by_hooks={model: infos[0].by_hooks for model, infos in table.items() if infos and infos[0].by_hooks},
    )


class _Planner:
    """Plans what the engine will be asked for, from shapes alone."""

    def __init__(self, run: Run, splits: Sequence[SplitShape]) -> None:
        self._run, self._splits, self._names = run, splits, run.layers.names()
        self._shapes = [_shape_of(run, splits, name, run.layers.info(name)) for name in self._names]
        numbers = {name: number for number, name in enumerate(self._names)}
        self.maps: dict[tuple[int, int], set[str]] = {}
        for planned in run.stitches:
            if planned.map is not None:
                pair = numbers[planned.source], numbers[planned.target]
                self.maps.setdefault(pair, set()).add(planned.map)

    def comparison(self) -> Plan:
        """Plan all declared indices of all pairs, with the maps where their view is compared."""
        declared, count = self._run.sweep.compare, len(self._names)
        pairs = frozenset((source, target) for source in range(count) for target in range(count))
        return self._plan(
            {table.view: pairs for table in declared},
            [name for table in declared for name in table.indices],
            with_maps=any(table.view == STITCH_VIEW for table in declared),
        )

    def fitting(self) -> Plan:
        """Plan the maps alone."""
        return self._plan({STITCH_VIEW: frozenset(self.maps)}, [], with_maps=True)

    def _plan(
        self, wanted: Mapping[View, frozenset[tuple[int, int]]], indices: Sequence[str], *, with_maps: bool
    ) -> Plan:
        sweep, measures = self._run.sweep, [index_measure(name) for name in indices]
        families = {family for of_pair in self.maps.values() for family in of_pair} if with_maps else set()
        fits = bool(families) or any(measure.held_out for measure in measures)
        return make_plan(
            self._shapes,
            wanted,
            splits=self._splits if fits else self._splits[-1:],
            memory_limit_bytes=sweep.run.memory_limit_bytes,
            precision=sweep.run.products,
            evaluation=Evaluation.of(measures, intervals=sweep.certainty.intervals, maps=len(families)),
            backend=sweep.run.backend,
        )


def _shape_of(run: Run, splits: Sequence[SplitShape], name: LayerName, layer: LayerInfo) -> LayerShape:
    """Return a layer as its dump will hold it."""
    dump = run.sweep.dump
    shape = run.extent.stored_shapes.get(name.model, {}).get(name.layer, layer.shape)
    item = ITEM_BYTES[dump.dtype]
    rows = [split.row_groups[0][1] for split in splits]
    chunk = max(chunk_rows(n, item * prod(shape), target_bytes=dump.chunk_kib * KIB) for n in rows)
    chunk = 1 if run.activations.all_views_at_once else chunk
    return LayerShape(name.model, name.layer, ("", ""), shape, item, chunk, layer.tokens)


def _splits(run: Run) -> list[SplitShape]:
    """Return the splits that a run reads: cut as its dumps will, or as they lie in the store."""
    data, label = run.sweep.data, run.sweep.data.label
    if isinstance(data, StoredData):
        store = run.store
        stored = {name: store.split(label, name) for name in run.ingested.splits(store)}
        return [SplitShape(label, name, split.row_groups) for name, split in stored.items()]
    plan = {"row_groups": run.sweep.dump.row_groups, "max_rows": run.extent.max_rows}
    return [
        SplitShape(label, name, plan_split(run.data.splits[name].sample_ids, **plan).bounds)
        for name in SPLITS
    ]


def _live_peak(run: Run, plan: Plan) -> int:
    """Return what the process that runs all networks holds at most, beside them and their forward passes."""
    shapes = [shape for layers in run.extent.stored_shapes.values() for shape in layers.values()]
    sums = plan.cost.peak_bytes - WORKER_BYTES - BACKEND_BYTES[plan.backend]
    return sums + planned_block_bytes(shapes, run.extent.settings, samples=plan.blocks.samples)
