"""Stitched networks: source activations, a stitching layer, the rest of the target network."""

from stitchpipe.stitching.budget import Autocast, Objective, TrainingBudget, TrainingCurve
from stitchpipe.stitching.errors import DivergedError, StitchError
from stitchpipe.stitching.evaluate import stitched_activations, stitched_logits
from stitchpipe.stitching.fidelity import Fidelity, accuracy, fidelity, relative_accuracy
from stitchpipe.stitching.labels import labels_of
from stitchpipe.stitching.layer import StitchingLayer
from stitchpipe.stitching.objectives import NEEDS_FOLLOWING, NEEDS_VALUES, Target
from stitchpipe.stitching.room import stitches_at_once
from stitchpipe.stitching.shelf import Shelf
from stitchpipe.stitching.training import groups, train, train_task_loss
from stitchpipe.stitching.under_way import Training

__all__ = [
    "NEEDS_FOLLOWING",
    "NEEDS_VALUES",
    "Autocast",
    "DivergedError",
    "Fidelity",
    "Objective",
    "Shelf",
    "StitchError",
    "StitchingLayer",
    "Target",
    "Training",
    "TrainingBudget",
    "TrainingCurve",
    "accuracy",
    "fidelity",
    "groups",
    "labels_of",
    "relative_accuracy",
    "stitched_activations",
    "stitched_logits",
    "stitches_at_once",
    "train",
    "train_task_loss",
]
