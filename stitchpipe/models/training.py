"""Training on the spot: small classifiers, deterministic for a seed, a thread count and a machine type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.data.images import ImageSplit

MOMENTUM, WEIGHT_DECAY, SHIFT = 0.9, 5e-4, 1


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What training did: optimiser steps, and the mean loss of the last epoch."""

    epochs: int
    steps: int
    final_loss: float


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
    `learning_rate`; images are shifted by up to one pixel. Order and shifts come from a generator of their
    own, so that the result depends on the network, the data and `seed` alone.

    Parameters
    ----------
    on_epoch
        Called with the number of finished epochs.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    labels = torch.from_numpy(data.labels)
    per_epoch = max(1, len(labels) // batch_size)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=epochs * per_epoch)
    mean_loss = float("nan")
    network.train()
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(labels), generator=generator)
        losses = []
        for step in range(per_epoch):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            images = _shifted(data.batch(chosen.tolist()), generator)
            optimiser.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(images.to(device)), labels[chosen].to(device))
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        mean_loss = sum(losses) / len(losses)
        if on_epoch is not None:
            on_epoch(epoch)
    network.eval()
    return TrainingRecord(epochs, epochs * per_epoch, mean_loss)


@torch.inference_mode()
def accuracy(network: nn.Module, data: ImageSplit, *, batch_size: int = 256) -> float:
    """Return the share of images that the network, in eval mode, puts into their class."""
    network.eval()
    device = next(network.parameters()).device
    hits = 0
    for start in range(0, len(data.sample_ids), batch_size):
        chosen = list(range(start, min(start + batch_size, len(data.sample_ids))))
        predicted = network(data.batch(chosen).to(device)).argmax(1).cpu()
        hits += int((predicted == torch.from_numpy(data.labels[chosen])).sum())
    return hits / len(data.sample_ids)


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `SHIFT` pixels either way, zeros moving in."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    moves = torch.randint(0, 2 * SHIFT + 1, (len(images), 2), generator=generator)
    return torch.stack(
        [
            image[:, y : y + height, x : x + width]
            for image, (y, x) in zip(padded, moves.tolist(), strict=True)
        ]
    )
