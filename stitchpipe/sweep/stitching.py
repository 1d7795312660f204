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
from stitchpipe.rows import grid_label, rows_per_sample, width_of
from stitchpipe.stitching import (
    DivergedError,
    StitchError,
    StitchingLayer,
    TrainingCurve,
    accuracy,
    labels_of,
    relative_accuracy,
    stitched_activations,
    stitched_logits,
    train_task_loss,
)
from stitchpipe.sweep.dumping import load_network
from stitchpipe.sweep.ends import (
    STITCH_VIEW,
    StoredEnd,
    ends_of,
    map_key,
    open_ends,
    open_representation,
    stitch_key,
)
from stitchpipe.sweep.folder import opened_store
from stitchpipe.sweep.jobs import Job, LayerName, jobs
from stitchpipe.sweep.networks import TEST, TRAIN, device_of, fix_threads, layer_table, splits
from stitchpipe.sweep.progress import Report, silent

if TYPE_CHECKING:
    import torch
    from torch import nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.config import Sweep
    from stitchpipe.sweep.folder import Folder

STATISTICS = (
    "stitch_accuracy",
    "stitch_relative_accuracy",
    "ood_mahalanobis",
    "ood_knn",
    "ood_frechet",
    "ood_negative_mass",
)
"""What a stitch is judged by, in the order of its results."""


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
    target: StoredEnd
    tail: nn.Module
    device: torch.device
    native_accuracy: float

    @classmethod
    def open(cls, sweep: Sweep, folder: Folder, target: StoredEnd) -> _Bench:
        device = device_of(sweep)
        network = load_network(sweep, folder, sweep.model(target.name.model))
        example = splits(sweep.data)[TEST].batch([0])
        rest = tail(network, target.name.layer, example=example).to(device)
        store = opened_store(sweep, folder)
        logits = open_representation(sweep, folder, store, LayerName(target.name.model, LOGITS), TEST)
        native = accuracy(logits.read_rows(slice(None)), labels_of(logits))
        return cls(sweep, folder, target, rest, device, native)

    @cached_property
    def reference(self) -> TargetReference:
        """Return the target's native statistics, fitted once."""
        return TargetReference.fit(self.target.train, self.target.test, neighbours=self.sweep.ood.neighbours)

    def results(self, job: Job, source: StoredEnd, key: str) -> list[Result]:
        """Make one stitch; return its results. A training that diverged has results without values."""
        layer = self._start(job, source)
        curve: TrainingCurve | None = None
        try:
            if job.budget is not None:
                labels = labels_of(source.train)
                curve = train_task_loss(
                    layer, self.tail, source.train, labels, job.budget, device=self.device
                )
                write_map(self.folder.map(f"tlm-{key.removeprefix('stitch-')}"), layer.to_map())
            found = self._judged(layer, source)
        except DivergedError as error:
            found = dict.fromkeys(STATISTICS, Statistic(None, "diverged", f"{error.found} at {error.where}"))
        record = self._record(job, source, curve)
        return [
            Result(index=name, value=one.value, status=one.status, reason=one.note, **record)
            for name, one in found.items()
        ]

    def _start(self, job: Job, source: StoredEnd) -> StitchingLayer:
        shapes = source.train.shape[1:], self.target.train.shape[1:]
        grids = source.grid, self.target.grid
        if job.needs_direct_map:
            return StitchingLayer.from_map(*shapes, self._direct_map(source), grids=grids)
        if job.init == "identity":
            return StitchingLayer.identity(*shapes, grids=grids)
        seed = 0 if job.budget is None else job.budget.seed
        return StitchingLayer.random(*shapes, seed=seed, grids=grids)

    def _direct_map(self, source: StoredEnd) -> AffineMap:
        return read_map(self.folder.map(map_key(self.sweep, source, self.target)))

    def _judged(self, layer: StitchingLayer, source: StoredEnd) -> dict[str, Statistic]:
        """Return the statistics of a stitched network on the test split, by index."""
        blocks = list(stitched_activations(layer, source.test, device=self.device))
        reached = accuracy(stitched_logits(self.tail, iter(blocks)), labels_of(source.test))
        relative = relative_accuracy(reached, self.native_accuracy)
        never = Statistic(None, "constant", "the target network itself is never right")
        scores = self.reference.score(block.float().cpu().numpy() for block in blocks)
        values = [Statistic(reached), never if relative is None else Statistic(relative)]
        return dict(zip(STATISTICS, [*values, *scores.named().values()], strict=True))

    def _record(self, job: Job, source: StoredEnd, curve: TrainingCurve | None) -> dict[str, Any]:
        """Return what all results of a stitch have in common."""
        x, y = source.test, self.target.test
        grid = self.target.grid
        fitted = self._direct_map(source) if job.method == "dm" else None
        return {
            "view": STITCH_VIEW,
            "grid": grid_label(grid),
            "source_model": job.source.model,
            "source_layer": job.source.layer,
            "target_model": job.target.model,
            "target_layer": job.target.layer,
            "fit_split": TRAIN,
            "split": TEST,
            "n_samples": y.n_samples,
            "n_rows": y.n_samples * rows_per_sample(STITCH_VIEW, grid),
            "p": width_of(x.shape[1:], STITCH_VIEW),
            "q": width_of(y.shape[1:], STITCH_VIEW),
            "rank": None if fitted is None else fitted.rank,
            "condition": None if fitted is None else fitted.condition,
            "method": job.method,
            "init": job.init,
            "objective": None if job.budget is None else job.budget.objective,
            "seed": None if job.budget is None else job.budget.seed,
            "steps": None if job.budget is None else job.budget.steps,
            "final_loss": None if curve is None else curve.final_loss,
            "source_digest": x.digest,
            "target_digest": y.digest,
        }


def _check_disjoint(end: StoredEnd) -> None:
    shared = set(end.train.split.sample_ids) & set(end.test.split.sample_ids)
    if shared:
        raise StitchError(
            where=f"splits of {end.name}",
            expected="a test split that shares no sample with the training split",
            found=f"{len(shared)} samples in both, for example '{min(shared)}'",
            remedy="Cut the data set anew: a map must not be scored on rows that it was fitted on.",
        )
