"""Trainings under way: what each holds between two steps, and how it is taken up again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import torch

from stitchpipe.stitching.batches import BatchPosition, ReadAhead, endless_batches
from stitchpipe.stitching.budget import TrainingCurve
from stitchpipe.stitching.checkpoint import Checkpoint
from stitchpipe.stitching.errors import DivergedError
from stitchpipe.stitching.joint_step import StitchedBatch
from stitchpipe.stitching.objectives import OBJECTIVES
from stitchpipe.stitching.source_cache import size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from stitchpipe.models import KeptState
    from stitchpipe.stitching.budget import TrainingBudget
    from stitchpipe.stitching.layer import StitchingLayer
    from stitchpipe.stitching.source_cache import Grids, SourceCache
    from stitchpipe.stitching.target import StitchingTarget
    from storage import Representation

CHECKPOINT_S = 60.0
"""Seconds of training between two states on disk."""


@dataclass(frozen=True, eq=False)
class StitchTraining:
    """One stitching layer to be trained, in place.

    Attributes
    ----------
    layer
        Whatever it holds is the start.
    sources
        The source layer on the training split: one representation for each pass over the images, the plain one or
        the augmented ones. Epochs take them in turn.
    budget
        What may be spent.
    state
        Where the state is kept while it trains; it is found there again, and forgotten by whoever keeps the result.
    """

    layer: StitchingLayer
    sources: Sequence[Representation]
    budget: TrainingBudget
    state: KeptState | None = None

    @property
    def resized_as_read(self) -> Grids | None:
        """Return the grids of source and target where samples take less memory on the target's; None elsewhere.

        They are brought to it when they are read then, and not in every step.
        """
        grids = self.layer.grids
        # The map comes after the resizing either way. Where the target's grid is the smaller one, resizing
        # at reading saves memory and the work of every step.
        if all(size_bytes(source, grids) < size_bytes(source) for source in self.sources):
            return grids
        return None


class StepCounter:
    """Counts the finished steps of all trainings, and reports how many there are."""

    def __init__(self, on_step: Callable[[int], None] | None) -> None:
        self._on_step, self._steps = on_step, 0

    def add(self, steps: int) -> None:
        """Count some more."""
        self._steps += steps
        if self._on_step is not None:
            self._on_step(self._steps)


class RunningTraining:
    """A training under way."""

    def __init__(
        self,
        training: StitchTraining,
        target: StitchingTarget,
        cache: SourceCache,
        counter: StepCounter,
        *,
        device: torch.device,
        ahead_bytes: int,
    ) -> None:
        self.layer, self.budget = training.layer.to(device), training.budget
        self._training, self._target, self._device, self._counter = training, target, device, counter
        self._optimiser = torch.optim.Adam(
            self.layer.parameters(), lr=self.budget.learning_rate, weight_decay=self.budget.weight_decay
        )
        self._losses: list[float] = []
        self._diverged: DivergedError | None = None
        self._is_whole = True
        # The position of the last finished step is what a state on disk names. That of the batch in hand
        # becomes it once the step is made.
        self._position = self._next_position = self._restored()
        # Sources that come on the target's grid need the map alone; others go through the whole layer,
        # which resizes.
        grids = training.resized_as_read
        self._map = self.layer if grids is None else self.layer.mapped
        self._needs = OBJECTIVES.named(self.budget.objective).needs
        with_values = "native" in self._needs
        # Each pass over the images has a reader of its source. Beside it stands one of the target's own
        # activations where the objective compares with them.
        readers = [
            [cache.reader(source, grids), *([cache.reader(target.values[number])] if with_values else [])]
            for number, source in enumerate(training.sources)
        ]
        self._batches = ReadAhead(
            endless_batches(readers, self.budget.batch_size, self._position),
            self.budget.steps - len(self._losses),
            ahead_bytes,
        )
        self._saved_at = time.monotonic()

    def _restored(self) -> BatchPosition:
        """Take up the state on disk; return where to go on."""
        state = Checkpoint.restored(self._training.state)
        if state is None:
            return BatchPosition.start(self.budget.seed)
        self._losses = list(state.losses)
        with torch.no_grad():
            for number, parameter in enumerate(self.layer.parameters()):
                parameter.copy_(state.tensors[f"{number}.value"])
        # Only the moments of Adam and its count of steps are on disk. The settings come from the budget,
        # with which the optimiser was just built.
        self._optimiser.load_state_dict(
            {
                **self._optimiser.state_dict(),
                "state": {
                    number: {name: state.tensors[f"{number}.{name}"] for name in _MOMENTS}
                    for number, _ in enumerate(self.layer.parameters())
                },
            }
        )
        self._counter.add(len(self._losses))
        return state.position

    def save(self) -> None:
        """Keep the state on disk, where there is one to keep."""
        kept = self._training.state
        # A step that was interrupted between the optimiser and the count would leave weights and position
        # of different steps, so such a state is never kept.
        if kept is None or not self._losses or not self._is_whole or self._diverged is not None:
            return
        tensors: dict[str, Tensor] = {}
        for number, parameter in enumerate(self.layer.parameters()):
            tensors[f"{number}.value"] = parameter.detach()
            tensors |= {f"{number}.{name}": self._optimiser.state[parameter][name] for name in _MOMENTS}
        Checkpoint(tensors, tuple(self._losses), self._position).save(kept)
        self._saved_at = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Return whether all steps were made, or it diverged."""
        return self._diverged is not None or len(self._losses) >= self.budget.steps

    def next_batch(self) -> StitchedBatch:
        """Return the batch of the next step."""
        batch = next(self._batches)
        self._next_position = batch.after
        # Widened where it is used: torch converts faster than NumPy, and half as much is moved to a GPU.
        source, *values = (torch.from_numpy(part).to(self._device).float() for part in batch.values)
        logits = None
        if "native_logits" in self._needs:
            logits = torch.from_numpy(self._target.logits[batch.number][batch.rows]).float().to(self._device)
        return StitchedBatch(
            stitched=self._map(source),
            labels=torch.from_numpy(self._target.labels[batch.rows]).to(self._device),
            native_logits=logits,
            native=values[0] if values else None,
        )

    def forget_gradient(self) -> None:
        """Begin a step."""
        self._optimiser.zero_grad(set_to_none=True)

    def accepts(self, loss: float) -> bool:
        """Return whether the loss of a step is one to learn from; with another one the training is over."""
        if isfinite(loss):
            return True
        self._diverged = self._divergence(f"{loss}")
        return False

    def _divergence(self, found: str) -> DivergedError:
        return DivergedError(
            where=f"task loss matching after {len(self._losses)} steps",
            expected="a finite loss, and finite weights",
            found=f"{found} at learning rate {self.budget.learning_rate:g}",
            remedy="Lower the learning rate, or start from the direct map.",
        )

    def learn(self, loss: float) -> None:
        """Make the step."""
        # Weights, losses and position change together. An interruption in between leaves the flag down, and
        # `save` then keeps the older state.
        self._is_whole = False
        self._optimiser.step()
        self._losses.append(loss)
        self._position = self._next_position
        self._is_whole = True
        if time.monotonic() - self._saved_at >= CHECKPOINT_S:
            self.save()
        self._counter.add(1)

    def curve(self) -> TrainingCurve:
        """Return how it went."""
        # The last step has no loss after it that would show weights that are not finite, so they are looked at here.
        if self._diverged is None and not all(
            parameter.isfinite().all() for parameter in self.layer.parameters()
        ):
            self._diverged = self._divergence("weights that are not finite")
        return TrainingCurve(tuple(self._losses), self._diverged)

    def close(self) -> None:
        """End the thread that reads."""
        self._batches.close()


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
