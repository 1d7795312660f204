"""Task loss matching: the stitching layer learns from the stitched network's loss, all else is frozen.

Source activations and labels stream from the store; neither the source network nor the target's head is run
(Bansal et al. 2021; Csiszárik et al. 2021; settings of Balogh and Jelasity 2025).
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation

from stitchpipe.stitching.batches import training_batches
from stitchpipe.stitching.budget import TrainingCurve
from stitchpipe.stitching.errors import DivergedError
from stitchpipe.stitching.labels import check_classes, check_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from stitchpipe.stitching.budget import TrainingBudget
    from stitchpipe.stitching.layer import StitchingLayer
    from storage import Representation


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
    layer
        Learns, and is moved to `device`. Whatever it holds is the start.
    tail
        Activations of the target layer → logits ``(n, classes)``. Moved to `device`, put in eval mode, so that
        batch statistics stay as they are, and frozen; its tensors keep their values bit by bit.
    source
        The source layer on the training split.
    labels
        ``[n]`` whole numbers, in the order of the store.
    device
        Default: the CPU.
    on_step
        Called with the number of finished steps. What it raises ends the training.

    Returns
    -------
    TrainingCurve
        On a CPU bitwise the same for a seed and a number of torch threads, from memory or from the store, alone
        or beside other trainings in other threads: no global generator or setting is used or changed.

    Raises
    ------
    StitchError
        The source has not the layer's shape; labels do not fit the samples or the logits.
    DivergedError
        A loss is not finite.

    Notes
    -----
    A step costs one pass through the tail forwards and one backwards (its weights get no gradient), plus
    O(n·p·q·H·W) for the layer. Memory: the source up to `stitchpipe.stitching.batches.HELD_BYTES`, or two windows
    of its row groups, and the tail's activations for one batch.
    """
    device = torch.device("cpu") if device is None else device
    layer.check_source(source)
    check_labels(labels, source)
    layer.to(device)
    tail.to(device).eval().requires_grad_(requires_grad=False)
    optimiser = torch.optim.Adam(
        layer.parameters(), lr=budget.learning_rate, weight_decay=budget.weight_decay
    )
    losses: list[float] = []
    for values, wanted in training_batches(source, labels, budget):
        optimiser.zero_grad(set_to_none=True)
        logits = tail(layer(values.to(device)))
        if not losses:
            check_classes(labels, logits.shape[1])
        loss = F.cross_entropy(logits, wanted.to(device))
        losses.append(_finite(loss, len(losses), budget))
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(len(losses))
    return TrainingCurve(tuple(losses))


def _finite(loss: torch.Tensor, step: int, budget: TrainingBudget) -> float:
    value = float(loss.detach())
    if not isfinite(value):
        raise DivergedError(
            where=f"task loss matching after {step} steps",
            expected="a finite loss",
            found=f"{value} at learning rate {budget.learning_rate:g}",
            remedy="Lower the learning rate, or start from the direct map.",
        )
    return value
