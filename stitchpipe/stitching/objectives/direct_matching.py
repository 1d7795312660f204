"""Squared error to the target layer's own activations: the least-squares map, by descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.objectives.objective import Objective, Step

if TYPE_CHECKING:
    from torch import Tensor


def loss(step: Step) -> Tensor:
    """Return the mean squared difference from the target layer's own activations. The tail is not run."""
    from torch.nn.functional import mse_loss  # noqa: PLC0415 - the declaration stays light

    return mse_loss(step.stitched.float(), step.native)


DIRECT_MATCHING = Objective(
    name="direct_matching",
    label="direct matching by descent",
    meaning="Squared error to the target layer's own activations: the least-squares map, by descent (a control).",
    loss=loss,
    needs=frozenset({"native"}),
    is_task_loss=False,
    literature="Csiszárik et al. 2021",
)
