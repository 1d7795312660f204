"""How many stitches may share a call of the target's tail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stitchpipe.stitching.joint_step import StitchedBatch, losses
from stitchpipe.stitching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.stitching.running_training import StitchTraining
    from stitchpipe.stitching.target import StitchingTarget

SHARE_OF_FREE = 0.8
"""Of a GPU's free memory that may be used; the rest is for fragments and the libraries' scratch."""


def stitches_at_once(
    trainings: Sequence[StitchTraining],
    target: StitchingTarget,
    device: torch.device,
    *,
    limit_bytes: int | None = None,
    peak_bytes: Callable[[StitchTraining, StitchingTarget, torch.device], int] | None = None,
) -> int:
    """Return how many trainings fit side by side: 1 on a CPU, where larger calls were slower.

    Parameters
    ----------
    limit_bytes
        Default: most of what is free on the GPU.
    peak_bytes
        What a step of one training takes; default: measured on the GPU, for the source with the largest samples.
    """
    if not trainings or (device.type != "cuda" and limit_bytes is None):
        return 1
    if limit_bytes is None:
        limit_bytes = int(SHARE_OF_FREE * torch.cuda.mem_get_info(device)[0])
    # The training with the largest batch stands for all: what fits for it fits for the others.
    largest = max(
        trainings, key=lambda training: np.prod(training.layer.source_shape) * training.budget.batch_size
    )
    taken = (peak_bytes or _measured)(largest, target, device)
    return max(1, min(len(trainings), limit_bytes // max(1, taken)))


def _measured(training: StitchTraining, target: StitchingTarget, device: torch.device) -> int:
    """Return the most memory that a step on noise takes beyond what is held before it."""
    shape = (training.budget.batch_size, *training.layer.source_shape)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    stitched = training.layer.to(device)(torch.zeros(shape, device=device))
    # The values do not matter to the memory, only shapes do, so that noise need not be drawn.
    labels = torch.zeros(len(stitched), dtype=torch.int64, device=device)
    logits = target.tail(stitched)
    objective = OBJECTIVES.named(training.budget.objective)
    native = torch.zeros_like(stitched) if "native" in objective.needs else None
    batch = StitchedBatch(stitched, labels, torch.zeros_like(logits), native)
    losses(objective, target, [batch])[0].backward()
    # The measurement must leave no gradient behind in the layer that is trained next.
    training.layer.zero_grad(set_to_none=True)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
