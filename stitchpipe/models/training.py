"""Training on the spot: small classifiers, deterministic for a seed, a thread count and a machine type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.data.images import ImageSplit

MOMENTUM, WEIGHT_DECAY, SHIFT = 0.9, 5e-4, 1


class TrainingError(ExplainedError, ValueError):
    """A network cannot learn these classes, or did not."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What training did: optimiser steps, the mean loss of the last epoch, and torch's number of threads.

    Sums are cut into as many parts as there are threads: another number, other last digits, another network.
    """

    epochs: int
    steps: int
    final_loss: float
    threads: int


def train_classifier(
    network: nn.Module,
    data: ImageSplit,
    *,
    epochs: int,
    seed: int,
    batch_size: int = 64,
    learning_rate: float = 0.2,
    on_epoch: Callable[[int], None] | None = None,
) -> TrainingRecord:
    """Train `network` in place on labelled images, and leave it in eval mode.

    SGD with Nesterov momentum 0.9 and weight decay 5e-4 under a one-cycle schedule that peaks at
    `learning_rate`; images are shifted by up to one pixel, and what is left of an epoch after whole batches is
    dropped. Order, shifts and dropout come from `seed`: on a CPU the result is bitwise the same for the same
    network, data, seed, torch version and number of threads.

    Parameters
    ----------
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
        torch.manual_seed(seed)
        return _train(
            network.train(),
            data,
            epochs=epochs,
            generator=torch.Generator().manual_seed(seed),
            batch_size=batch_size,
            learning_rate=learning_rate,
            on_epoch=on_epoch,
        )


def _train(
    network: nn.Module,
    data: ImageSplit,
    *,
    epochs: int,
    generator: torch.Generator,
    batch_size: int,
    learning_rate: float,
    on_epoch: Callable[[int], None] | None,
) -> TrainingRecord:
    device = next(network.parameters()).device
    labels = torch.from_numpy(data.required_labels("training"))
    per_epoch = max(1, len(labels) // batch_size)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=epochs * per_epoch)
    mean_loss = 0.0
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(labels), generator=generator)
        losses = []
        for step in range(per_epoch):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            images = _shifted(data.batch(chosen.tolist()), generator)
            optimiser.zero_grad(set_to_none=True)
            loss = _loss(network(images.to(device)), labels[chosen].to(device), data)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        mean_loss = sum(losses) / len(losses)
        _check_finite(mean_loss, epoch, learning_rate)
        if on_epoch is not None:
            on_epoch(epoch)
    network.eval()
    return TrainingRecord(epochs, epochs * per_epoch, mean_loss, torch.get_num_threads())


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


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `SHIFT` pixels either way, zeros moving in."""
    count, _, height, width = images.shape
    padded = F.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    moves = torch.randint(0, 2 * SHIFT + 1, (count, 2), generator=generator)
    rows = (moves[:, :1] + torch.arange(height))[:, :, None]
    columns = (moves[:, 1:] + torch.arange(width))[:, None, :]
    picked = padded[torch.arange(count)[:, None, None], :, rows, columns]
    # A fresh layout, also where there is one channel: the strides decide which convolution kernels run.
    return picked.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
