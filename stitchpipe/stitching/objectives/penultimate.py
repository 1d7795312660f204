"""Squared error before the last linear layer: the features that the target network classifies by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.objectives.objective import Objective, Step

if TYPE_CHECKING:
    from torch import Tensor


def loss(step: Step) -> Tensor:
    """Return the mean squared difference of what the last linear layer takes. Two forward passes through the tail."""
    from torch.nn.functional import mse_loss  # noqa: PLC0415 - the declaration stays light

    return mse_loss(step.following[0].float(), step.native_following[0].float())


PENULTIMATE = Objective(
    name="penultimate",
    label="penultimate features",
    meaning="Squared error of what the last linear layer takes: that the target's own features are reached.",
    loss=loss,
    needs=frozenset({"native"}),
    behind="penultimate",
    is_task_loss=False,
)
