"""Functional latent alignment: the target's own activations, at the layer and at all cuts behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.objectives.objective import Objective, Step

if TYPE_CHECKING:
    from torch import Tensor


def loss(step: Step) -> Tensor:
    """Return the mean over layers of ‖h − g‖/‖g‖ of each image, h stitched and g the target's own.

    The layers are the target layer and those behind it. Costs two forward passes through the tail.
    """
    import torch  # noqa: PLC0415 - the declaration stays light

    # The target layer itself is the first of the layers that are compared.
    pairs = [
        (step.stitched, step.native),
        *zip(step.following, step.native_following, strict=True),
    ]
    return torch.stack([_relative_distance(h, g) for h, g in pairs]).mean()


def _relative_distance(h: Tensor, g: Tensor) -> Tensor:
    """Return ‖h − g‖/‖g‖ of each image, averaged; images whose own activations are all zero do not count."""
    own = g.float().flatten(1).norm(dim=1)
    distance = (h.float() - g.float()).flatten(1).norm(dim=1)
    counts = own > 0
    # Both places are needed: the first keeps the gradient from dividing by zero, the second takes such
    # images out of the sum.
    ratios = (distance / own.where(counts, 1.0)).where(counts, 0.0)
    average: Tensor = ratios.sum() / counts.sum().clamp(min=1)
    return average


FULA = Objective(
    name="fula",
    label="functional latent alignment",
    meaning="Relative distance from the target's own activations, at the target layer and at all dumped cuts behind "
    "it.",
    loss=loss,
    needs=frozenset({"native"}),
    behind="cuts",
    is_task_loss=False,
    literature="Athanasiadis et al. 2025",
)
