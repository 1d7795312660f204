"""The fourth step: every declared stitch into one target layer, trained from the store, judged on the test split.

Neither a source network nor the target's head is run: activations and labels come from the store, and only the
target's tail is built. Each stitch is a part of its own in the catalogue; a training that is killed goes on where it
was.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from stitchpipe.config import ConfigError
from stitchpipe.graph import LOGITS, PENULTIMATE, folded, tail
from stitchpipe.results import read_map, write_map
from stitchpipe.stitching import (
    OBJECTIVES,
    SourceCache,
    StitchError,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    groups,
    labels_of,
    stitches_at_once,
    train,
)
from stitchpipe.sweep.augmented_splits import training_splits
from stitchpipe.sweep.dumping import load_network
from stitchpipe.sweep.ends import (
    StoredEnd,
    ends_of,
    map_key,
    open_ends,
    open_representation,
    stitch_key,
)
from stitchpipe.sweep.folder import opened_store, write_record
from stitchpipe.sweep.jobs import AFFINE, Job, LayerName, jobs
from stitchpipe.sweep.judging import Judge, Made
from stitchpipe.sweep.networks import TEST, TRAIN, device_of, fix_threads, layer_table, splits
from stitchpipe.sweep.out_of_distribution import Distribution
from stitchpipe.sweep.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch
    from torch import nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.config import Sweep
    from stitchpipe.results import Result
    from stitchpipe.rows import Grid
    from stitchpipe.stitching import Objective, TrainingCurve
    from stitchpipe.stitching.objectives import Behind
    from stitchpipe.sweep.folder import Folder
    from storage import Representation, Store


def stitch(
    sweep: Sweep, folder: Folder, model: str, layer: str, *, report: Report = silent
) -> dict[str, Any]:
    """Make every declared stitch into ``model/layer`` that is not in the catalogue yet.

    `report` counts optimiser steps, a stitch without training as one, behind the epochs of the target's detector where
    one is declared.

    Raises
    ------
    ConfigError
        Something was not dumped, or the target's weights are missing.
    StitchError
        Labels are missing or do not fit, or the splits share samples.
    MapFileError
        The direct maps were not fitted yet.
    """
    target = LayerName(model, layer)
    declared = [job for job in jobs(sweep, layer_table(sweep, folder)) if job.target == target]
    if not declared:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected="a target layer of its stitches",
            found=f"{target}",
            remedy="Declare a stitch into it.",
        )
    ends = open_ends(sweep, folder, ends_of(declared))
    _check_disjoint(ends[target])
    keys = {job: stitch_key(sweep, job, ends) for job in declared}
    missing = [job for job in declared if not folder.catalogue.has(keys[job])]
    warnings = 0
    if missing:
        fix_threads(sweep)
        bench = _Bench.open(sweep, folder, ends[target])
        size = {job: 1 if job.budget is None else job.budget.steps for job in declared}
        epochs = bench.judge.distribution.epochs
        total = epochs + sum(size.values())
        bench.judge.distribution.prepare(lambda epoch: report(epoch, total))
        done = epochs + sum(size[job] for job in declared if job not in missing)
        for group in bench.groups(missing, ends, keys):
            for job, results in bench.made(group, ends, keys, partial(_tell, report, done, total)):
                folder.catalogue.write(keys[job], results)
                folder.checkpoint(keys[job]).unlink(missing_ok=True)
                warnings += bench.judge.distribution.warn(job.source, results)
            done += sum(size[job] for job, _ in group)
            report(done, total)
    else:
        report(1, 1)
    return {"target": str(target), "stitches": len(declared), "made": len(missing), "warnings": warnings}


def _tell(report: Report, before: int, total: int, steps: int) -> None:
    report(before + steps, total)


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all stitches into one target share: its tail, its native statistics, its labels."""

    sweep: Sweep
    folder: Folder
    target: StoredEnd
    network: nn.Module
    tail: nn.Module
    device: torch.device
    judge: Judge
    cache: SourceCache = field(default_factory=SourceCache)
    targets: dict[tuple[str, tuple[str, ...]], StitchingTarget] = field(default_factory=dict)

    @classmethod
    def open(cls, sweep: Sweep, folder: Folder, target: StoredEnd) -> _Bench:
        device = device_of(sweep)
        network = load_network(sweep, folder, sweep.network(target.name.model)).to(device)
        logits = open_representation(
            sweep, folder, opened_store(sweep, folder), LayerName(target.name.model, LOGITS), TEST
        )
        own = logits.read_rows(slice(None))
        rest = _tail(sweep, network, target.name.layer, device)
        native = Distribution(sweep, folder, target, network, own, device)
        judge = Judge(sweep, target, rest, own, native, device)
        return cls(sweep, folder, target, network, rest, device, judge)

    def groups(
        self, missing: Sequence[Job], ends: Mapping[LayerName, StoredEnd], keys: Mapping[Job, str]
    ) -> Iterator[Sequence[tuple[Job, StitchTraining | None]]]:
        """Yield the stitches that are made as one, those of one source side by side: it is read once then."""
        yield from ([(job, None)] for job in missing if job.budget is None)
        trained = sorted((job for job in missing if job.budget is not None), key=lambda job: job.source)
        if not trained:
            return
        trainings = [self._training(job, ends[job.source], keys[job]) for job in trained]
        count = self.sweep.run.stitches_at_once or stitches_at_once(
            trainings, self._learnt_from(trained[0]), self.device
        )
        for group in groups(trainings, count):
            yield [(trained[place], trainings[place]) for place in group]

    def made(
        self,
        group: Sequence[tuple[Job, StitchTraining | None]],
        ends: Mapping[LayerName, StoredEnd],
        keys: Mapping[Job, str],
        on_step: Callable[[int], None],
    ) -> Iterator[tuple[Job, list[Result]]]:
        """Make some stitches; yield each one's results."""
        for job, training in group:
            if training is None:
                source = ends[job.source]
                fitted = self._direct_map(job, source)
                made = Made(job, keys[job], source, self._mapped(source, fitted), fitted=fitted)
                yield job, self.judge.results(made)
        trained = [(job, training) for job, training in group if training is not None]
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
        for (job, training), curve in zip(trained, curves, strict=True):
            if curve.divergence is None:
                self._keep(job, training, curve, keys[job])
            yield job, self.judge.results(Made(job, keys[job], ends[job.source], training.layer, curve=curve))

    def _keep(self, job: Job, training: StitchTraining, curve: TrainingCurve, key: str) -> None:
        """Keep the map that was learnt, and its losses with their budget."""
        write_map(self.folder.map(f"tlm-{key.removeprefix('stitch-')}"), training.layer.to_map())
        write_record(
            self.folder.curve(key),
            {
                "source": str(job.source),
                "target": str(job.target),
                "init": job.init,
                "budget": asdict(training.budget),
                "passes": list(training_splits(self.sweep, job)),
                "losses": list(curve.losses),
            },
        )

    def _training(self, job: Job, source: StoredEnd, key: str) -> StitchTraining:
        if job.budget is None:
            raise ValueError(f"{job} is not trained")
        sources = [self._on_split(job.source, split, source) for split in training_splits(self.sweep, job)]
        return StitchTraining(self._start(job, source), sources, job.budget, self.folder.checkpoint(key))

    def _on_split(self, name: LayerName, split: str, end: StoredEnd | None = None) -> Representation:
        """Return a layer on the training images, plain or augmented."""
        if end is not None and split == TRAIN:
            return end.train
        return open_representation(self.sweep, self.folder, self._store, name, split)

    @cached_property
    def _store(self) -> Store:
        return opened_store(self.sweep, self.folder)

    def _learnt_from(self, job: Job) -> StitchingTarget:
        """Return what stitches of one objective learn from; it is put together once."""
        objective = OBJECTIVES.named(job.budget.objective if job.budget is not None else "hard_labels")
        read = training_splits(self.sweep, job)
        if (objective.name, read) not in self.targets:
            self.targets[objective.name, read] = self._target_of(objective, read)
        return self.targets[objective.name, read]

    def _target_of(self, objective: Objective, splits: Sequence[str]) -> StitchingTarget:
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
            table = layer_table(self.sweep, self.folder)[self.target.name.model]
            names = [info.name for info in table]
            later = table[names.index(self.target.name.layer) + 1 :]
            through = [info.name for info in later if info.is_cut]
        return folded(_tail(self.sweep, self.network, self.target.name.layer, self.device, through))

    def _start(self, job: Job, source: StoredEnd) -> StitchingLayer:
        if job.map is not None:
            return self._mapped(source, self._direct_map(job, source))
        shapes, grids = self._ends(source)
        if job.init == "identity":
            return StitchingLayer.identity(*shapes, grids=grids)
        seed = 0 if job.budget is None else job.budget.seed
        return StitchingLayer.random(*shapes, seed=seed, grids=grids)

    def _mapped(self, source: StoredEnd, fitted: AffineMap) -> StitchingLayer:
        shapes, grids = self._ends(source)
        return StitchingLayer.from_map(*shapes, fitted, grids=grids)

    def _ends(self, source: StoredEnd) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[Grid, Grid]]:
        """Return shapes of samples and grids of a stitch's two ends."""
        return (source.train.shape[1:], self.target.train.shape[1:]), (source.grid, self.target.grid)

    def _direct_map(self, job: Job, source: StoredEnd) -> AffineMap:
        return read_map(self.folder.map(map_key(self.sweep, source, self.target, job.map or AFFINE)))


def _tail(
    sweep: Sweep, network: nn.Module, layer: str, device: torch.device, through: Sequence[str] | None = None
) -> nn.Module:
    """Return what lies behind a layer of a network on `device`, for images of the sweep's size."""
    example = splits(sweep.data)[TEST].batch([0]).to(device)
    return tail(network, layer, example=example, through=through)


def _check_disjoint(end: StoredEnd) -> None:
    shared = set(end.train.split.sample_ids) & set(end.test.split.sample_ids)
    if shared:
        raise StitchError(
            where=f"splits of {end.name}",
            expected="a test split that shares no sample with the training split",
            found=f"{len(shared)} samples in both, for example '{min(shared)}'",
            remedy="Cut the data set anew: a map must not be scored on rows that it was fitted on.",
        )
