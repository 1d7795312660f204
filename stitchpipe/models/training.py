"""Training on the spot: small classifiers, deterministic for a seed, a thread count and a machine type."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.errors import ExplainedError
from stitchpipe.models.training_state import Learner
from stitchpipe.models.varied_images import mirrored, shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.config import TrainingRecipe
    from stitchpipe.data.images import ImageSplit
    from stitchpipe.models.training_state import KeptState

MOMENTUM: Final = 0.9


class TrainingError(ExplainedError, ValueError):
    """A network cannot learn these classes, or did not."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What training did.

    Attributes
    ----------
    curve
        For each epoch the mean ``loss`` of its steps and the ``accuracy`` on their images, as they were shown: shifted
        or mirrored, by the network of that moment.
    steps
        Of the optimiser.
    threads
        Of torch. Sums are cut into as many parts: another number, other last digits, another network.
    """

    curve: tuple[Mapping[str, float], ...]
    steps: int
    threads: int

    @property
    def final_loss(self) -> float:
        """Return the mean loss of the last epoch."""
        return self.curve[-1]["loss"]


def train_classifier(
    network: nn.Module,
    data: ImageSplit,
    recipe: TrainingRecipe,
    *,
    kept: KeptState | None = None,
    every_s: float = 30.0,
    on_epoch: Callable[[int], None] | None = None,
) -> TrainingRecord:
    """Train `network` in place on labelled images, and leave it in eval mode.

    SGD with Nesterov momentum 0.9, or AdamW, under a one-cycle schedule that peaks at the recipe's learning rate;
    images are shifted and mirrored at random, and what is left of an epoch after whole batches is dropped. Order,
    shifts, mirroring and dropout come from the recipe's seed: on a CPU the result is bitwise the same for the same
    network, data, recipe, torch version and number of threads, whether or not it was interrupted.

    Parameters
    ----------
    kept
        Where the state is kept between epochs; one that lies there is gone on from.
    every_s
        Seconds from one state that is kept to the next.
    on_epoch
        Called with the number of finished epochs.

    Raises
    ------
    TrainingError
        The data have more classes than the network has logits, or the loss became infinite.
    stitchpipe.data.DataError
        The data have no labels.

    Notes
    -----
    A nine-block network 16-32-64 on 1,347 8×8 images: 21 steps an epoch, about 20 ms each on one core.
    """
    device = next(network.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        return _Training(network.train(), data, recipe).run(kept, every_s, on_epoch)


class _Training:
    """A training that is going on."""

    def __init__(self, network: nn.Module, data: ImageSplit, recipe: TrainingRecipe) -> None:
        self._data, self._recipe = data, recipe
        self._device = next(network.parameters()).device
        self._labels = torch.from_numpy(data.required_labels("training"))
        self._per_epoch = max(1, len(self._labels) // recipe.batch_size)
        optimiser = _optimiser(network, recipe)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=recipe.epochs * self._per_epoch
        )
        self._learner = Learner(network, optimiser, schedule, torch.Generator().manual_seed(recipe.seed))

    def run(
        self, kept: KeptState | None, every_s: float, on_epoch: Callable[[int], None] | None
    ) -> TrainingRecord:
        state = None if kept is None else kept.load()
        curve = [] if state is None else self._learner.unpack(state)
        saved_at = time.monotonic()
        for epoch in range(len(curve) + 1, self._recipe.epochs + 1):
            curve.append(self._epoch())
            _check_finite(curve[-1]["loss"], epoch, self._recipe.learning_rate)
            if kept is not None and time.monotonic() - saved_at >= every_s:
                kept.save(self._learner.pack(curve))
                saved_at = time.monotonic()
            if on_epoch is not None:
                on_epoch(epoch)
        self._learner.network.eval()
        return TrainingRecord(tuple(curve), self._recipe.epochs * self._per_epoch, torch.get_num_threads())

    def _epoch(self) -> dict[str, float]:
        learner, size = self._learner, self._recipe.batch_size
        order = torch.randperm(len(self._labels), generator=learner.generator)
        losses, hits, seen = [], 0, 0
        for step in range(self._per_epoch):
            chosen = order[step * size : (step + 1) * size]
            labels = self._labels[chosen].to(self._device)
            learner.optimiser.zero_grad(set_to_none=True)
            logits = learner.network(self._images(chosen).to(self._device))
            loss = _loss(logits, labels, self._data)
            loss.backward()
            learner.optimiser.step()
            learner.schedule.step()
            losses.append(float(loss.detach()))
            hits += int((logits.detach().argmax(1) == labels).sum())
            seen += len(chosen)
        return {"loss": sum(losses) / len(losses), "accuracy": hits / seen}

    def _images(self, chosen: Tensor) -> Tensor:
        images = self._data.batch(chosen.tolist())
        if self._recipe.shift:
            images = shifted(images, self._learner.generator, most=self._recipe.shift)
        return mirrored(images, self._learner.generator) if self._recipe.flip else images


def _optimiser(network: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=MOMENTUM,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )


def _loss(logits: Tensor, labels: Tensor, data: ImageSplit) -> Tensor:
    classes = data.n_classes or 0
    if logits.shape[1] < classes:
        raise TrainingError(
            where=f"data set '{data.dataset}'",
            expected=f"at most {logits.shape[1]} classes, as many as the network has logits",
            found=f"{classes} classes",
            remedy="Set the model's option num_classes.",
        )
    return F.cross_entropy(logits, labels)


def _check_finite(loss: float, epoch: int, learning_rate: float) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            where=f"epoch {epoch}",
            expected="a finite loss",
            found=str(loss),
            remedy=f"Lower the learning rate (it is {learning_rate}).",
        )


@torch.inference_mode()
def accuracy(network: nn.Module, data: ImageSplit, *, batch_size: int = 256) -> float:
    """Return the share of images that the network, in eval mode, puts into their class.

    Raises DataError where the data have no labels.
    """
    labels = torch.from_numpy(data.required_labels("an accuracy"))
    network.eval()
    device = next(network.parameters()).device
    hits = 0
    for start in range(0, len(data.sample_ids), batch_size):
        chosen = list(range(start, min(start + batch_size, len(data.sample_ids))))
        predicted = network(data.batch(chosen).to(device)).argmax(1).cpu()
        hits += int((predicted == labels[chosen]).sum())
    return hits / len(data.sample_ids)
