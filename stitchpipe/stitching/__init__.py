"""Stitched networks: source activations, a stitching layer, the rest of the target network."""

from stitchpipe.stitching.budget import Objective, TrainingBudget, TrainingCurve
from stitchpipe.stitching.errors import DivergedError, StitchError
from stitchpipe.stitching.evaluate import accuracy, relative_accuracy, stitched_activations, stitched_logits
from stitchpipe.stitching.labels import labels_of
from stitchpipe.stitching.layer import StitchingLayer
from stitchpipe.stitching.task_loss import train_task_loss

__all__ = [
    "DivergedError",
    "Objective",
    "StitchError",
    "StitchingLayer",
    "TrainingBudget",
    "TrainingCurve",
    "accuracy",
    "labels_of",
    "relative_accuracy",
    "stitched_activations",
    "stitched_logits",
    "train_task_loss",
]
