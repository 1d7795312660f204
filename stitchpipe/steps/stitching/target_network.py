"""What all stitches into one target layer share: the network behind it, its native statistics, what they learn from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stitchpipe.graph import LOGITS, PENULTIMATE, folded, tail
from stitchpipe.results import map_bytes, map_of
from stitchpipe.run.file_names import curve_name, map_name
from stitchpipe.run.names import TEST, TRAIN, LayerName
from stitchpipe.run.planned_stitch import AFFINE
from stitchpipe.run.run_keys import map_key
from stitchpipe.run.stitches import training_splits
from stitchpipe.run.training_state import TrainingState
from stitchpipe.steps.stitching.distribution import Distribution
from stitchpipe.steps.stitching.judge import Judge, Made
from stitchpipe.stitching import (
    OBJECTIVES,
    SourceCache,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    UnfittedError,
    groups,
    labels_of,
    stitches_at_once,
    train,
)
from storage import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch
    from torch import nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.results import Result
    from stitchpipe.rows import Grid
    from stitchpipe.run import PlannedStitch, Run
    from stitchpipe.run.activations import StoredEnd
    from stitchpipe.stitching import Objective, TrainingCurve
    from stitchpipe.stitching.objectives import Behind
    from storage import Representation


@dataclass(frozen=True, eq=False)
class TargetNetwork:
    """The network behind a target layer, and what all stitches into it share.

    Attributes
    ----------
    ends
        The stitches' layers on both splits.
    keys
        Of the stitches.
    tail
        What runs behind the target layer.
    cache
        Sources that several trainings read.
    learnt_from
        What stitches of one objective learn from, by its name and the splits that they read; put together once.
    """

    run: Run
    ends: Mapping[LayerName, StoredEnd]
    target: StoredEnd
    keys: Mapping[PlannedStitch, str]
    network: nn.Module
    tail: nn.Module
    device: torch.device
    judge: Judge
    cache: SourceCache = field(default_factory=SourceCache)
    learnt_from: dict[tuple[str, tuple[str, ...]], StitchingTarget] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        run: Run,
        ends: Mapping[LayerName, StoredEnd],
        name: LayerName,
        keys: Mapping[PlannedStitch, str],
    ) -> TargetNetwork:
        """Load the network that the target's activations were dumped from, and cut it behind the layer.

        Raises
        ------
        stitchpipe.models.OtherWeightsError
            Its weights are others now.
        """
        target, device = ends[name], run.device
        # The tail must belong to the activations that are in the store, and not to weights that changed
        # since.
        dumped_with = str(target.test.identity["weights"])
        network = run.networks.loaded(name.model, expected=dumped_with).to(device)
        native = None
        if name.model not in run.layers.headless:
            logits = run.stored_activations().layer(LayerName(name.model, LOGITS), TEST)
            native = logits.read_rows(slice(None))
        behind = _tail(run, network, name.layer, device)
        distribution = Distribution(run, target, network, native, device)
        judge = Judge(run.sweep, target, behind, native, distribution, device, run.layers.depths)
        return cls(run, ends, target, keys, network, behind, device, judge)

    def groups(
        self, missing: Sequence[PlannedStitch]
    ) -> Iterator[Sequence[tuple[PlannedStitch, StitchTraining | None]]]:
        """Yield the stitches that are made as one, those of one source side by side: it is read once then."""
        yield from ([(planned, None)] for planned in missing if planned.budget is None)
        trained = sorted(
            (planned for planned in missing if planned.budget is not None),
            key=lambda planned: planned.source,
        )
        if not trained:
            return
        trainings = [self._training(planned) for planned in trained]
        count = self.run.sweep.run.stitches_at_once or stitches_at_once(
            trainings, self._learnt_from(trained[0]), self.device
        )
        for group in groups(trainings, count):
            yield [(trained[number], trainings[number]) for number in group]

    def made(
        self,
        group: Sequence[tuple[PlannedStitch, StitchTraining | None]],
        on_step: Callable[[int], None],
    ) -> Iterator[tuple[PlannedStitch, list[Result]]]:
        """Make some stitches; yield each one's results."""
        for planned, training in group:
            if training is None:
                source = self.ends[planned.source]
                fitted = self._direct_map(planned)
                layer = self._mapped(source, fitted)
                made = Made(planned, self.keys[planned], source, layer, fitted=fitted)
                yield planned, self.judge.results(made)
        trained = [(planned, training) for planned, training in group if training is not None]
        if not trained:
            return
        curves = train(
            [training for _, training in trained],
            self._learnt_from(trained[0][0]),
            device=self.device,
            at_once=len(trained),
            cache=self.cache,
            on_step=on_step,
        )
        for (planned, training), curve in zip(trained, curves, strict=True):
            # A map that diverged is not worth keeping; its results say that it did.
            if curve.divergence is None:
                self._keep(planned, training, curve)
            source, key = self.ends[planned.source], self.keys[planned]
            n_splits = len(training_splits(self.run.data, planned))
            made = Made(planned, key, source, training.layer, curve=curve, n_splits=n_splits)
            yield planned, self.judge.results(made)

    def state(self, planned: PlannedStitch) -> TrainingState:
        """Return where the state of a training is kept while it lasts."""
        return TrainingState(self.run.place.files, self.keys[planned])

    def _keep(self, planned: PlannedStitch, training: StitchTraining, curve: TrainingCurve) -> None:
        """Keep the map that was learnt, and its losses with their budget; both say what they are of."""
        files, key = self.run.place.files, self.keys[planned]
        made = {
            "source": str(planned.source),
            "target": str(planned.target),
            "method": planned.method,
            "init": planned.init,
            "budget": asdict(training.budget),
            "key": key,
        }
        name = map_name(f"tlm-{key.removeprefix('stitch-')}")
        files.write(name, ".safetensors", map_bytes(training.layer.to_map(), made))
        record = {
            **made,
            "passes": list(training_splits(self.run.data, planned)),
            "losses": list(curve.losses),
        }
        files.write(curve_name(key), ".json", json.dumps(record, indent=1, sort_keys=True).encode())

    def _training(self, planned: PlannedStitch) -> StitchTraining:
        if planned.budget is None:
            raise ValueError(f"{planned} is not trained")
        source = self.ends[planned.source]
        sources = [
            self._on_split(planned.source, split, source) for split in training_splits(self.run.data, planned)
        ]
        return StitchTraining(self._start(planned, source), sources, planned.budget, self.state(planned))

    def _on_split(self, name: LayerName, split: str, end: StoredEnd | None = None) -> Representation:
        """Return a layer on the training images, plain or augmented."""
        if end is not None and split == TRAIN:
            return end.train
        return self.run.stored_activations().layer(name, split)

    def _learnt_from(self, planned: PlannedStitch) -> StitchingTarget:
        """Return what stitches of one objective learn from."""
        objective = OBJECTIVES.named(
            planned.budget.objective if planned.budget is not None else "hard_labels"
        )
        splits = training_splits(self.run.data, planned)
        if (objective.name, splits) not in self.learnt_from:
            self.learnt_from[objective.name, splits] = self._put_together(objective, splits)
        return self.learnt_from[objective.name, splits]

    def _put_together(self, objective: Objective, splits: Sequence[str]) -> StitchingTarget:
        name = self.target.name
        needs_logits, needs_values = "native_logits" in objective.needs, "native" in objective.needs
        own_logits = LayerName(name.model, LOGITS)
        return StitchingTarget(
            tail=self._folded_tail,
            labels=labels_of(self.target.train),
            logits=[
                self._on_split(own_logits, split).read_rows(slice(None)) for split in splits if needs_logits
            ],
            values=[self._on_split(name, split, self.target) for split in splits if needs_values],
            following=None if objective.behind is None else self._following(objective.behind),
        )

    @cached_property
    def _folded_tail(self) -> nn.Module:
        """Return what stitches are trained through; they are judged by the tail itself."""
        return folded(self.tail)

    def _following(self, behind: Behind) -> nn.Module:
        """Return the tail with what counts on its way: all cuts behind the target, or what the last layer takes."""
        through = [PENULTIMATE]
        if behind == "cuts":
            table = self.run.layers.of(self.target.name.model)
            names = [info.name for info in table]
            later = table[names.index(self.target.name.layer) + 1 :]
            through = [info.name for info in later if info.is_cut]
        return folded(_tail(self.run, self.network, self.target.name.layer, self.device, through))

    def _start(self, planned: PlannedStitch, source: StoredEnd) -> StitchingLayer:
        """Return the stitching layer where its training begins."""
        if planned.map is not None:
            return self._mapped(source, self._direct_map(planned))
        shapes, grids = self._shapes_and_grids(source)
        if planned.init == "identity":
            return StitchingLayer.identity(*shapes, grids=grids)
        seed = 0 if planned.budget is None else planned.budget.seed
        return StitchingLayer.random(*shapes, seed=seed, grids=grids)

    def _mapped(self, source: StoredEnd, fitted: AffineMap) -> StitchingLayer:
        shapes, grids = self._shapes_and_grids(source)
        return StitchingLayer.from_map(*shapes, fitted, grids=grids)

    def _shapes_and_grids(
        self, source: StoredEnd
    ) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[Grid, Grid]]:
        """Return shapes of samples and grids of a stitch's two ends."""
        return (source.train.shape[1:], self.target.train.shape[1:]), (source.grid, self.target.grid)

    def _direct_map(self, planned: PlannedStitch) -> AffineMap:
        """Return the least-squares map of a stitch, which `fit_maps` left."""
        key = map_key(self.run, self.ends[planned.source], self.target, planned.map or AFFINE)
        name = map_name(key)
        try:
            return map_of(self.run.place.files.read(name), where=name)
        except NotFoundError as error:
            raise UnfittedError(
                where=f"stitch of {planned.source} into {planned.target}",
                expected="its least-squares map, which is fitted before",
                found=f"no {name} in {self.run.place.url}",
                remedy="Run the sweep again: what is missing is fitted first.",
            ) from error


def _tail(
    run: Run, network: nn.Module, layer: str, device: torch.device, through: Sequence[str] | None = None
) -> nn.Module:
    """Return what lies behind a layer of a network on `device`, for images of the sweep's size."""
    example = run.data.splits[TEST].batch([0]).to(device)
    return tail(network, layer, example=example, through=through)
