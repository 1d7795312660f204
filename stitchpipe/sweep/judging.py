"""What becomes of a finished stitch: its answers and its representations on the test split, as results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stitchpipe.ood import Statistic
from stitchpipe.result import Result
from stitchpipe.rows import grid_label, rows_per_sample, width_of
from stitchpipe.stitching import (
    DivergedError,
    TrainingCurve,
    fidelity,
    labels_of,
    stitched_activations,
    stitched_logits,
)
from stitchpipe.sweep.ends import STITCH_VIEW, StoredEnd
from stitchpipe.sweep.networks import TEST, TRAIN
from stitchpipe.sweep.out_of_distribution import Distribution, ood_statistics
from stitchpipe.sweep.passes import training_passes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.config import Sweep
    from stitchpipe.stitching import Fidelity, StitchingLayer, TrainingBudget
    from stitchpipe.sweep.jobs import Job

FIDELITY = ("stitch_accuracy", "stitch_relative_accuracy", "stitch_agreement", "stitch_kl")
"""What a stitch is judged by first; then by its distance from the target's distribution, and on each class."""
CLASS_ACCURACY = "stitch_class_accuracy"
"""With the number of the class in parentheses."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges stitches into one target.

    Attributes
    ----------
    tail
        What runs behind the stitch.
    native
        Logits of the target network itself on the test split, ``[n, classes]`` in stored order.
    distribution
        The target layer's own.
    """

    sweep: Sweep
    target: StoredEnd
    tail: nn.Module
    native: npt.NDArray[np.floating]
    distribution: Distribution
    device: torch.device

    def results(
        self,
        job: Job,
        source: StoredEnd,
        layer: StitchingLayer,
        made: TrainingCurve | DivergedError | AffineMap,
    ) -> list[Result]:
        """Judge one stitch, given how it was made. A training that diverged has results without values."""
        try:
            if isinstance(made, DivergedError):
                raise made
            found = self._judged(layer, source)
        except DivergedError as error:
            why = Statistic(None, "diverged", f"{error.found} at {error.where}")
            found = dict.fromkeys((*FIDELITY, *ood_statistics(self.sweep)), why)
        record = self._record(job, source, made)
        return [
            Result(index=name, value=one.value, status=one.status, reason=one.note, **record)
            for name, one in found.items()
        ]

    def _judged(self, layer: StitchingLayer, source: StoredEnd) -> dict[str, Statistic]:
        """Return the statistics of a stitched network on the test split, by index; one row group is held at a time."""
        watch = self.distribution.watch()
        blocks = watch.seen(stitched_activations(layer, source.test, device=self.device))
        logits = stitched_logits(self.tail, blocks)
        reached = fidelity(logits, self.native, labels_of(source.test))
        return {
            **_answers(reached),
            **watch.statistics(logits),
            **_by_class(reached, source.test.split.class_names),
        }

    def _record(
        self, job: Job, source: StoredEnd, made: TrainingCurve | DivergedError | AffineMap
    ) -> dict[str, Any]:
        """Return what all results of a stitch have in common."""
        x, y, budget = source.test, self.target.test, job.budget
        grid = self.target.grid
        fitted = None if isinstance(made, TrainingCurve | DivergedError) else made
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
            "final_loss": made.final_loss if isinstance(made, TrainingCurve) else None,
            "source_digest": x.digest,
            "target_digest": y.digest,
            **({} if budget is None else _spent(budget, len(training_passes(self.sweep, job)))),
        }


def _answers(reached: Fidelity) -> dict[str, Statistic]:
    never = Statistic(None, "constant", "the target network itself is never right")
    relative = reached.relative_accuracy
    values = [
        Statistic(reached.accuracy),
        never if relative is None else Statistic(relative),
        Statistic(reached.agreement),
        Statistic(reached.kl),
    ]
    return dict(zip(FIDELITY, values, strict=True))


def _by_class(reached: Fidelity, names: Sequence[str]) -> dict[str, Statistic]:
    return {
        f"{CLASS_ACCURACY}({number})": Statistic(value, note=names[number] if number < len(names) else None)
        for number, value in reached.by_class.items()
    }


def _spent(budget: TrainingBudget, passes: int) -> dict[str, Any]:
    """Return the budget of a training as results name it."""
    precision = "float32" if budget.autocast == "none" else budget.autocast
    return {
        "objective": budget.objective,
        "seed": budget.seed,
        "steps": budget.steps,
        "batch_size": budget.batch_size,
        "learning_rate": budget.learning_rate,
        "weight_decay": budget.weight_decay,
        "augmented": passes if budget.augmented else 0,
        "precision": f"{precision} compiled" if budget.compiled else precision,
    }
