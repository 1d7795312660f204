"""What a run would do, from its description alone: counts, bytes, flops. Runs nothing, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from stitchpipe.capture import planned_block_bytes
from stitchpipe.config import StoredData
from stitchpipe.data import sizes_told
from stitchpipe.engine import (
    Comparison,
    LayerQuestions,
    LayerShape,
    Pairs,
    SplitShape,
    beside_worker_bytes,
    fits,
)
from stitchpipe.run.extent import ITEM_BYTES, KIB
from stitchpipe.run.names import SPLITS, LayerName
from stitchpipe.run.run_keys import STITCH_VIEW
from storage import chunk_rows, plan_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.data import ImageSplit
    from stitchpipe.engine import Cost, Plan
    from stitchpipe.graph import LayerInfo
    from stitchpipe.rows import View
    from stitchpipe.run import Run


@dataclass(frozen=True, slots=True)
class EngineWork:
    """One planned run of the engine, as the steps carry it out."""

    comparison: Comparison
    plan: Plan

    @property
    def views(self) -> tuple[View, ...]:
        """Return under which views pairs are compared or maps fitted."""
        return tuple(dict.fromkeys((*self.comparison.pairs, *self.comparison.moment_pairs)))

    @property
    def pairs(self) -> int:
        """Return how many directed pairs there are, over all views; those that cannot be compared are left out."""
        over_images_alone = self.comparison.pairs.keys() - self.comparison.moment_pairs.keys()
        return self.cost.pairs + sum(len(self.comparison.pairs[view]) for view in over_images_alone)

    @property
    def maps(self) -> int:
        """Return how many least-squares maps are fitted and kept for stitches."""
        return sum(map(len, self.comparison.maps.values()))

    @property
    def rows(self) -> int:
        """Return how many numbers come out."""
        return sum(
            len(pairs) * len(self.comparison.indices[view]) for view, pairs in self.comparison.pairs.items()
        )

    @property
    def cost(self) -> Cost:
        """Return what the plan costs."""
        return self.plan.cost

    @property
    def passes(self) -> int:
        """Return how often layers are read for it: passes over them."""
        return len(self.plan.passes)

    def read_to_bound(self, memory_limit_bytes: int) -> float:
        """Return the bytes that are read to the least that any plan within the memory limit could read."""
        least = self.comparison.least_bytes_read(self.plan, memory_limit_bytes=memory_limit_bytes)
        return self.cost.bytes_read / least if least else 1.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The projected size of a run.

    Attributes
    ----------
    image_remarks
        Which groups a split's images are of, and what was changed, left out or found twice among them.
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
    layer_questions
        What each layer is asked by itself, a view each.
    shapes
        Of all layers, as their dumps hold them, and of the splits.
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
    image_remarks: dict[str, tuple[str, ...]]
    layers: dict[str, int]
    activation_bytes: int
    dump_peak_bytes: int
    row_groups: dict[str, int]
    comparison: EngineWork | None
    layer_questions: tuple[LayerQuestions, ...]
    shapes: tuple[tuple[LayerShape, ...], tuple[SplitShape, ...]]
    fitting: EngineWork | None
    run_over: dict[str, int]
    stitches: dict[str, int]
    training_steps: int
    detectors: int
    by_hooks: dict[str, str]

    @property
    def layer_numbers(self) -> int:
        """How many numbers of single layers are computed: of each layer under each view that asks for measures."""
        return sum(len(asked.measures) for asked in self.layer_questions) * sum(self.layers.values())


def forecast(run: Run) -> Forecast:
    """Return what a run would read, form, hold and train, if nothing were there yet.

    Raises the errors of `stitchpipe.steps.units`, and PlanError where a comparison cannot fit.
    """
    table, splits = run.layers.table, _splits(run)
    planner = _Planner(run, splits)
    asked = planner.comparison() if run.sweep.compare else None
    compared = None if asked is None else planner.plan(asked)
    # Where their view is compared, maps are fitted with it; otherwise by themselves, before the stitches.
    maps = planner.fitting() if planner.maps and (asked is None or not asked.maps) else None
    is_live, stored = run.activations.all_views_at_once, isinstance(run.sweep.data, StoredData)
    trained = [planned.budget for planned in run.stitches if planned.budget is not None]
    return Forecast(
        images={split.name: split.n_samples for split in splits},
        image_remarks={} if stored else {name: _remarks(run.data.splits[name]) for name in SPLITS},
        layers={model: len(infos) for model, infos in table.items()},
        activation_bytes=sum(run.extent.activation_bytes.values()),
        dump_peak_bytes=_live_peak(run, compared) if is_live and compared else run.extent.peak_bytes,
        row_groups={split.name: len(split.row_groups) for split in splits},
        comparison=None if asked is None or compared is None else EngineWork(asked, compared),
        layer_questions=tuple(
            LayerQuestions(asked_of.view, asked_of.layer_measures, asked_of.deletion_indices)
            for asked_of in run.sweep.compare
            if asked_of.layer_measures or asked_of.deletions
        ),
        shapes=(planner.shapes(splits), tuple(splits)),
        fitting=None if maps is None else EngineWork(maps, planner.plan(maps)),
        run_over={split.name: split.n_samples for split in compared.splits} if is_live and compared else {},
        stitches={"dm": len(run.stitches) - len(trained), "tlm": len(trained)},
        training_steps=sum(budget.steps for budget in trained),
        detectors=len({planned.target for planned in run.stitches}) if run.sweep.ood.detector else 0,
        by_hooks={model: infos[0].by_hooks for model, infos in table.items() if infos and infos[0].by_hooks},
    )


def _remarks(images: ImageSplit) -> tuple[str, ...]:
    """Return what is to be said of a split, and of which groups its images are."""
    return (*sizes_told(images.groups), *images.remarks)


class _Planner:
    """Plans what the engine will be asked for, from shapes alone."""

    def __init__(self, run: Run, splits: Sequence[SplitShape]) -> None:
        self._run, self._splits, self._names = run, splits, run.layers.names()
        numbers = {name: number for number, name in enumerate(self._names)}
        self.maps: dict[tuple[int, int], set[str]] = {}
        for planned in run.stitches:
            if planned.map is not None:
                pair = numbers[planned.source], numbers[planned.target]
                self.maps.setdefault(pair, set()).add(planned.map)

    def comparison(self) -> Comparison:
        """Return all declared indices of all pairs, with the maps where their view is compared."""
        declared, count = self._run.sweep.compare, len(self._names)
        pairs = Pairs.every(count)
        return self._asked(
            {table.view: pairs for table in declared},
            {table.view: tuple(table.indices) for table in declared},
            self.maps if any(table.view == STITCH_VIEW for table in declared) else {},
        )

    def fitting(self) -> Comparison:
        """Return the maps alone."""
        return self._asked({}, {}, self.maps)

    def plan(self, comparison: Comparison) -> Plan:
        """Plan what is asked for, within the limits that the sweep sets."""
        limits = self._run.sweep.run
        return comparison.plan(
            memory_limit_bytes=limits.memory_limit_bytes, precision=limits.products, backend=limits.backend
        )

    def shapes(self, splits: Sequence[SplitShape]) -> tuple[LayerShape, ...]:
        """Return all layers as their dumps will hold them, of the splits that are read."""
        return tuple(
            _shape_of(self._run, splits, LayerName(model, info.name), info)
            for model, infos in self._run.layers.table.items()
            for info in infos
        )

    def _asked(
        self,
        pairs: Mapping[View, Pairs],
        indices: Mapping[View, tuple[str, ...]],
        maps: Mapping[tuple[int, int], set[str]],
    ) -> Comparison:
        certainty = self._run.sweep.certainty
        is_fitted = fits([name for names in indices.values() for name in names], maps)
        splits = tuple(self._splits if is_fitted else self._splits[-1:])
        return Comparison(
            layers=self.shapes(splits),
            splits=splits,
            pairs=pairs,
            indices=indices,
            maps={(STITCH_VIEW, pair): families for pair, families in maps.items()},
            intervals=certainty.intervals,
            permutations=certainty.permutations,
            family=certainty.family_kind,
        )


def _shape_of(run: Run, splits: Sequence[SplitShape], name: LayerName, layer: LayerInfo) -> LayerShape:
    """Return a layer as its dump will hold it, of the splits that are read."""
    dump = run.sweep.dump
    shape = run.extent.stored_shapes.get(name.model, {}).get(name.layer, layer.shape)
    item = ITEM_BYTES[dump.dtype]
    rows = [split.row_groups[0][1] for split in splits]
    chunk = max(chunk_rows(n, item * prod(shape), target_bytes=dump.chunk_kib * KIB) for n in rows)
    chunk = 1 if run.activations.all_views_at_once else chunk
    return LayerShape(name.model, name.layer, ("",) * len(splits), shape, item, chunk, layer.tokens)


def _splits(run: Run) -> list[SplitShape]:
    """Return the splits that a run reads: cut as its dumps will, or as they lie in the store."""
    data, label = run.sweep.data, run.sweep.data.label
    if isinstance(data, StoredData):
        store = run.store
        stored = {name: store.split(label, name) for name in run.ingested.splits(store)}
        return [
            SplitShape(label, name, split.row_groups, split.group_bounds) for name, split in stored.items()
        ]
    plan = {"row_groups": run.sweep.dump.row_groups, "max_rows": run.extent.max_rows}
    cut = {
        name: plan_split(images.sample_ids, groups=images.groups, **plan)
        for name, images in run.data.splits.items()
    }
    return [SplitShape(label, name, cut[name].bounds, cut[name].group_bounds) for name in SPLITS]


def _live_peak(run: Run, plan: Plan) -> int:
    """Return what the process that runs all networks holds at most, beside them and their forward passes."""
    shapes = [shape for layers in run.extent.stored_shapes.values() for shape in layers.values()]
    sums = beside_worker_bytes(plan.cost.peak_bytes, plan.backend)
    return sums + planned_block_bytes(shapes, run.extent.settings, samples=plan.blocks.samples)
