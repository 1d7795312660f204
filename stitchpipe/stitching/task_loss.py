"""Task loss matching: the stitching layer learns from the stitched network's loss, all else is frozen.

Source activations and labels stream from the store; neither the source network nor the target's head is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stitchpipe.stitching.layer import StitchingLayer
    from storage import Representation


@dataclass(frozen=True, slots=True)
class TrainingBudget:
    """What a training may spend, and its seed. Adam, without decay of the rate; hard labels.

    The defaults but `steps` are the paper's.
    """

    steps: int = 300
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """The loss of every step; `final_loss` is the mean over the last tenth, at least one step."""

    losses: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Return how many optimiser steps were made."""
        return len(self.losses)

    @property
    def final_loss(self) -> float:
        """Return the mean loss of the last tenth of the steps."""
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(tail) / len(tail)


def train_task_loss(
    layer: StitchingLayer,
    tail: nn.Module,
    source: Representation,
    labels: npt.NDArray[np.int64],
    budget: TrainingBudget,
    *,
    device: torch.device | None = None,
    on_step: Callable[[int], None] | None = None,
) -> TrainingCurve:
    """Train `layer` in place by cross-entropy through the frozen `tail`.

    Parameters
    ----------
    tail
        Activations of the target layer → logits; in eval mode, so that batch statistics stay as they are.
    source
        The source layer on the training split.
    labels
        ``[n]``, in the order of the store.
    on_step
        Called with the number of finished steps.

    Returns
    -------
    TrainingCurve
        Deterministic for a seed on one machine type with one thread; the last batch of an epoch may be smaller.

    Raises
    ------
    StitchError
        Labels are missing or do not fit the samples or the logits.
    """
    device = torch.device("cpu") if device is None else device
    check_labels(labels, source)
    layer.to(device)
    tail = tail.to(device).eval().requires_grad_(requires_grad=False)
    optimiser = torch.optim.Adam(
        layer.parameters(), lr=budget.learning_rate, weight_decay=budget.weight_decay
    )
    losses = []
    for step, (images, wanted) in enumerate(_batches(source, labels, budget), start=1):
        optimiser.zero_grad(set_to_none=True)
        logits = tail(layer(images.to(device)))
        if step == 1:
            _check_classes(logits, labels)
        loss = F.cross_entropy(logits, wanted.to(device))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if on_step is not None:
            on_step(step)
    return TrainingCurve(tuple(losses))


def check_labels(labels: npt.NDArray[np.int64] | None, source: Representation) -> None:
    """Refuse labels that are missing or not one per sample."""
    if labels is None or len(labels) != source.n_samples:
        raise StitchError(
            where=f"{source.address}",
            expected=f"{source.n_samples} labels in the order of the store",
            found="none" if labels is None else f"{len(labels)}",
            remedy="Task loss matching needs labels: add the split with them.",
        )


def _batches(
    source: Representation, labels: npt.NDArray[np.int64], budget: TrainingBudget
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `budget.steps` batches of activations and labels, epoch after epoch, shuffled anew each time."""
    generator = np.random.default_rng(budget.seed)
    done = 0
    while True:
        for rows, values in source.shuffled_batches(budget.batch_size, generator):
            if done == budget.steps:
                return
            yield torch.from_numpy(np.asarray(values, dtype=np.float32)), torch.from_numpy(labels[rows])
            done += 1


def _check_classes(logits: Tensor, labels: npt.NDArray[np.int64]) -> None:
    if int(labels.max()) >= logits.shape[1] or int(labels.min()) < 0:
        raise StitchError(
            where="labels",
            expected=f"classes from 0 to {logits.shape[1] - 1}, one per logit of the target",
            found=f"classes from {int(labels.min())} to {int(labels.max())}",
            remedy="Stitch into a network that was trained on these classes.",
        )
