"""KL from the target's answers: that the stitched network answers as its target does, right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.objectives.objective import Objective, Step

if TYPE_CHECKING:
    from torch import Tensor


def loss(step: Step) -> Tensor:
    """Return KL(softmax g ‖ softmax of the stitched logits), g the target's own, mean over images."""
    from torch.nn.functional import kl_div  # noqa: PLC0415 - the declaration stays light

    answers, wanted = step.logits.log_softmax(1), step.native_logits.log_softmax(1)
    return kl_div(answers, wanted, reduction="batchmean", log_target=True)


SOFT_LABELS = Objective(
    name="soft_labels",
    label="task loss, the target's answers",
    meaning="KL divergence from the target network's own probabilities: that it answers as its target does.",
    loss=loss,
    needs=frozenset({"logits", "native_logits"}),
    is_task_loss=True,
    literature="Hinton et al. 2015",
)
