"""Cross-entropy with the labels: task loss matching proper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.objectives.objective import Objective, Step

if TYPE_CHECKING:
    from torch import Tensor


def loss(step: Step) -> Tensor:
    """Return the cross-entropy of the stitched logits with the labels, mean over images."""
    from torch.nn.functional import cross_entropy  # noqa: PLC0415 - the declaration stays light

    return cross_entropy(step.logits, step.labels)


HARD_LABELS = Objective(
    name="hard_labels",
    label="task loss, labels",
    meaning="Cross-entropy of the stitched network with the labels: that it classifies well.",
    loss=loss,
    needs=frozenset({"logits"}),
    is_task_loss=True,
    literature="Bansal et al. 2021; Csiszárik et al. 2021; Balogh and Jelasity 2025",
)
