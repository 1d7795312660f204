"""An objective of one's own: the largest wrong logit is asked to stay below the right one by a margin."""

from torch import Tensor
from torch.nn.functional import multi_margin_loss

from stitchpipe.stitching import Objective, Step


def loss(step: Step) -> Tensor:
    """Return the multi-class hinge loss of the stitched logits."""
    return multi_margin_loss(step.logits, step.labels)


MARGIN = Objective(
    name="margin",
    label="task loss, margin",
    meaning="Hinge loss of the stitched network: the right logit above all others by one.",
    loss=loss,
    needs=frozenset({"logits"}),
    is_task_loss=True,
    literature="Crammer and Singer 2001",
)
