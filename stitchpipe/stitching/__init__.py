"""Stitched networks: source activations, a stitching layer, the rest of the target network."""

from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.evaluate import accuracy, stitched_activations, stitched_logits
from stitchpipe.stitching.layer import StitchingLayer
from stitchpipe.stitching.task_loss import TrainingBudget, TrainingCurve, train_task_loss

__all__ = [
    "StitchError",
    "StitchingLayer",
    "TrainingBudget",
    "TrainingCurve",
    "accuracy",
    "stitched_activations",
    "stitched_logits",
    "train_task_loss",
]
