"""The fourth step: every declared stitch into one target layer, trained from the store, judged on the test split.

Neither a source network nor the target's head is run: activations and labels come from the store, and only the
target's tail is built. Each stitch is a part of its own in the catalogue, so a killed run repeats at most one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stitchpipe.catalogue import Result
from stitchpipe.config import ConfigError
from stitchpipe.graph import LOGITS, tail
from stitchpipe.mapfile import read_map, write_map
from stitchpipe.ood import Statistic, TargetReference
from stitchpipe.rows import grid_label, grid_of, rows_per_sample, width_of
from stitchpipe.stitching import (
    StitchError,
    StitchingLayer,
    TrainingBudget,
    TrainingCurve,
    accuracy,
    stitched_activations,
    stitched_logits,
    train_task_loss,
)
from stitchpipe.sweep.dumping import load_network
from stitchpipe.sweep.ends import (
    STITCH_VIEW,
    End,
    ends_of,
    map_key,
    open_ends,
    open_representation,
    stitch_key,
)
from stitchpipe.sweep.jobs import Job, LayerName, jobs
from stitchpipe.sweep.networks import TEST, TRAIN, device_of, fix_threads, layer_table
from stitchpipe.sweep.progress import Report, silent
from storage import Representation, open_store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from stitchpipe.config import Sweep
    from stitchpipe.sweep.folder import Folder

OBJECTIVE = "hard_labels"


def stitch(
    sweep: Sweep, folder: Folder, model: str, layer: str, *, report: Report = silent
) -> dict[str, Any]:
    """Make every declared stitch into ``model/layer`` that is not in the catalogue yet.

    `report` counts stitches.

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
    declared = [job for job in jobs(sweep, layer_table(sweep)) if job.target == target]
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
    if missing:
        fix_threads(sweep)
        bench = _Bench.open(sweep, folder, ends[target])
        for done, job in enumerate(missing, start=len(declared) - len(missing)):
            report(done, len(declared))
            folder.catalogue.write(keys[job], bench.results(job, ends[job.source], keys[job]))
    report(len(declared), len(declared))
    return {"target": str(target), "stitches": len(declared), "made": len(missing)}


@dataclass(frozen=True)
class _Bench:
    """What all stitches into one target share: its tail, its native statistics, its labels."""

    sweep: Sweep
    folder: Folder
    target: End
    tail: nn.Module
    device: torch.device
    native_accuracy: float

    @classmethod
    def open(cls, sweep: Sweep, folder: Folder, target: End) -> _Bench:
        device = device_of(sweep)
        network = load_network(sweep, folder, sweep.model(target.name.model))
        rest = tail(network, target.name.layer).to(device)
        store = open_store(folder.store)
        logits = open_representation(sweep, folder, store, LayerName(target.name.model, LOGITS), TEST)
        native = accuracy(logits.read_rows(slice(None)), _labels(logits))
        return cls(sweep, folder, target, rest, device, native)

    @cached_property
    def reference(self) -> TargetReference:
        """Return the target's native statistics, fitted once."""
        return TargetReference.fit(self.target.train, self.target.test, neighbours=self.sweep.ood.neighbours)

    def results(self, job: Job, source: End, key: str) -> list[Result]:
        """Make one stitch; return its results."""
        layer, curve = self._fitted(job, source)
        if curve is not None:
            write_map(self.folder.map(f"tlm-{key.removeprefix('stitch-')}"), layer.to_map())
        blocks = list(stitched_activations(layer, source.test, device=self.device))
        reached = accuracy(stitched_logits(self.tail, iter(blocks)), _labels(source.test))
        statistics = {
            "stitch_accuracy": Statistic(reached),
            "stitch_relative_accuracy": self._relative(reached),
            **self.reference.score(block.float().cpu().numpy() for block in blocks).named(),
        }
        return [self._result(job, source, name, found, curve) for name, found in statistics.items()]

    def _fitted(self, job: Job, source: End) -> tuple[StitchingLayer, TrainingCurve | None]:
        shapes = source.train.shape[1:], self.target.train.shape[1:]
        start = _initial(job, shapes, self.folder, map_key(source, self.target))
        if job.method == "dm":
            return start, None
        budget = TrainingBudget(
            steps=_given(job.steps),
            batch_size=_given(job.batch_size),
            learning_rate=_given(job.learning_rate),
            weight_decay=_given(job.weight_decay),
            seed=_given(job.seed),
        )
        curve = train_task_loss(
            start, self.tail, source.train, _labels(source.train), budget, device=self.device
        )
        return start, curve

    def _relative(self, reached: float) -> Statistic:
        if self.native_accuracy == 0.0:
            return Statistic(None, "constant", "the target network itself is never right")
        return Statistic(reached / self.native_accuracy)

    def _result(
        self, job: Job, source: End, index: str, found: Statistic, curve: TrainingCurve | None
    ) -> Result:
        x, y = source.test, self.target.test
        shape = y.shape[1:]
        grid = grid_of(shape)
        fitted = None
        if job.method == "dm":
            fitted = read_map(self.folder.map(map_key(source, self.target)))
        return Result(
            index=index,
            value=found.value,
            status=found.status,
            reason=found.note,
            view=STITCH_VIEW,
            grid=grid_label(grid),
            source_model=job.source.model,
            source_layer=job.source.layer,
            target_model=job.target.model,
            target_layer=job.target.layer,
            fit_split=TRAIN,
            split=TEST,
            n_samples=y.n_samples,
            n_rows=y.n_samples * rows_per_sample(STITCH_VIEW, grid),
            p=width_of(x.shape[1:], STITCH_VIEW),
            q=width_of(shape, STITCH_VIEW),
            rank=None if fitted is None else fitted.rank,
            condition=None if fitted is None else fitted.condition,
            method=job.method,
            init=job.init,
            objective=None if curve is None else OBJECTIVE,
            seed=job.seed,
            steps=None if curve is None else curve.steps,
            final_loss=None if curve is None else curve.final_loss,
            source_digest=x.digest,
            target_digest=y.digest,
        )


def _check_disjoint(end: End) -> None:
    shared = set(end.train.split.sample_ids) & set(end.test.split.sample_ids)
    if shared:
        raise StitchError(
            where=f"splits of {end.name}",
            expected="a test split that shares no sample with the training split",
            found=f"{len(shared)} samples in both, for example '{min(shared)}'",
            remedy="Cut the data set anew: a map must not be scored on rows that it was fitted on.",
        )


def _labels(representation: Representation) -> npt.NDArray[np.int64]:
    labels = representation.split.labels
    if labels is None:
        raise StitchError(
            where=str(representation.address),
            expected="a label for every sample",
            found="a split without labels",
            remedy="Stitched networks are judged by accuracy: add the split with labels.",
        )
    return labels


def _initial(
    job: Job, shapes: tuple[tuple[int, ...], tuple[int, ...]], folder: Folder, key: str
) -> StitchingLayer:
    if job.needs_direct_map:
        return StitchingLayer.from_map(*shapes, read_map(folder.map(key)))
    if job.init == "identity":
        return StitchingLayer.identity(*shapes)
    return StitchingLayer.random(*shapes, seed=_given(job.seed))


def _given(value: Any) -> Any:
    """Return a training field of a job; direct matching has none."""
    if value is None:
        raise ValueError("a task loss matching job without a budget")
    return value
