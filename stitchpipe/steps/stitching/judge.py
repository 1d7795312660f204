"""What becomes of a finished stitch: its answers and its representations on the test split, as results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.certainty import group_codes
from stitchpipe.results import Making, Result, Side, Subject
from stitchpipe.rows import grid_label, rows_per_sample, width_of
from stitchpipe.run.names import TEST, TRAIN
from stitchpipe.run.run_keys import STITCH_VIEW
from stitchpipe.steps.stitching.distribution import Distribution, Watch, score_names
from stitchpipe.stitching import (
    FEATURE_DISTANCE,
    FIDELITY,
    NO_LOGITS,
    Answers,
    DivergedError,
    by_class,
    feature_distance,
    labels_of,
    native_activations,
    stitched_activations,
    stitched_logits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor, nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.config import Sweep
    from stitchpipe.measures import Number
    from stitchpipe.run import LayerName, PlannedStitch
    from stitchpipe.run.activations import StoredEnd
    from stitchpipe.stitching import StitchingLayer, TrainingBudget, TrainingCurve


@dataclass(frozen=True, eq=False)
class Made:
    """A stitch that is to be judged.

    Attributes
    ----------
    key
        Of everything that its numbers depend on.
    source
        What is stitched in, on both splits.
    layer
        What maps it into the target.
    fitted
        The least-squares map that the layer holds; None of a trained one.
    curve
        How the training went; None of a fitted one.
    n_splits
        How many splits it went through, epoch by epoch.
    """

    planned: PlannedStitch
    key: str
    source: StoredEnd
    layer: StitchingLayer
    fitted: AffineMap | None = None
    curve: TrainingCurve | None = None
    n_splits: int = 1


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges stitches into one target.

    Attributes
    ----------
    tail
        What runs behind the stitch.
    native
        Logits of the target network itself on the test split, ``[n, classes]`` in stored order; None of one that gives
        features.
    distribution
        The target layer's own.
    depths
        Places of layers in their networks' order.
    """

    sweep: Sweep
    target: StoredEnd
    tail: nn.Module
    native: npt.NDArray[np.floating] | None
    distribution: Distribution
    device: torch.device
    depths: Mapping[LayerName, int]

    def results(self, made: Made) -> list[Result]:
        """Judge one stitch. A training that diverged has results without values."""
        subject, making, fitted = self._subject(made), self._making(made), made.fitted
        numbers = self._numbers(made)
        if fitted is not None:
            beside = {"rank": fitted.rank, "condition": fitted.condition}
            numbers = {name: number.beside(**beside) for name, number in numbers.items()}
        return [Result(name, number, subject, making) for name, number in numbers.items()]

    def _numbers(self, made: Made) -> dict[str, Number]:
        """Return the measures of a stitched network on the test split, or for each why it has no number."""
        try:
            if made.curve is not None and made.curve.divergence is not None:
                raise made.curve.divergence
            return self._judged(made.layer, made.source)
        except DivergedError as error:
            return dict.fromkeys((*FIDELITY, *score_names(self.sweep)), error.number)

    def _judged(self, layer: StitchingLayer, source: StoredEnd) -> dict[str, Number]:
        """Return the measures of a stitched network on the test split; one row group is held at a time."""
        watch = self.distribution.watch()
        # A chain of generators: a row group is stitched, looked at, and run through the tail before the
        # next is read.
        blocks = watch.seen(stitched_activations(layer, source.test, device=self.device))
        if self.native is None:
            return self._by_features(blocks, watch)
        logits = stitched_logits(self.tail, blocks)
        split = source.test.split
        groups = None if split.group_bounds is None else group_codes(split.group_bounds)
        answers = Answers(logits, self.native, labels_of(source.test), split.class_names, groups)
        return {
            **{name: fidelity.of(answers) for name, fidelity in FIDELITY.items()},
            **watch.scores(logits),
            **by_class(answers),
        }

    def _by_features(self, blocks: Iterator[Tensor], watch: Watch) -> dict[str, Number]:
        """Return the measures of a stitched network without logits: how far its features are from the target's."""
        own = native_activations(self.target.test, device=self.device)
        distance = feature_distance(self.tail, blocks, own)
        return {**dict.fromkeys(FIDELITY, NO_LOGITS), FEATURE_DISTANCE.name: distance, **watch.scores(None)}

    def _subject(self, made: Made) -> Subject:
        """Return what all results of a stitch are about."""
        x, y, grid = made.source.test, self.target.test, self.target.grid
        names = made.planned.source, made.planned.target
        source, target = (
            Side(
                name.model,
                name.layer,
                width_of(end.shape[1:], STITCH_VIEW),
                end.digest,
                self.depths.get(name),
            )
            for name, end in zip(names, (x, y), strict=True)
        )
        return Subject(
            source=source,
            target=target,
            view=STITCH_VIEW,
            grid=grid_label(grid),
            fit_split=TRAIN,
            split=TEST,
            n_samples=y.n_samples,
            n_rows=y.n_samples * rows_per_sample(STITCH_VIEW, grid),
            key=made.key,
        )

    def _making(self, made: Made) -> Making:
        planned, curve = made.planned, made.curve
        if planned.budget is None or curve is None:
            return Making(method=planned.method, init=planned.init)
        return Making(
            method=planned.method,
            init=planned.init,
            final_loss=curve.final_loss.value,
            **_spent(planned.budget, made.n_splits),
        )


def _spent(budget: TrainingBudget, n_splits: int) -> dict[str, Any]:
    """Return the budget of a training as results name it."""
    precision = "float32" if budget.autocast == "none" else budget.autocast
    return {
        "objective": budget.objective,
        "seed": budget.seed,
        "steps": budget.steps,
        "batch_size": budget.batch_size,
        "learning_rate": budget.learning_rate,
        "weight_decay": budget.weight_decay,
        "augmented": n_splits if budget.augmented else 0,
        "precision": f"{precision} compiled" if budget.compiled else precision,
    }
