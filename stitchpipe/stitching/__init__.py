"""Stitched networks: source activations, a stitching layer, the rest of the target network.

Importing this room is cheap, so that what it declares (`.objectives`, `.fidelity`) can be listed without torch; what a
name needs is imported when it is first used.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.stitching.budget import Autocast, TrainingBudget, TrainingCurve
    from stitchpipe.stitching.errors import DivergedError, StitchError, UnfittedError
    from stitchpipe.stitching.evaluate import (
        feature_distance,
        native_activations,
        stitched_activations,
        stitched_logits,
    )
    from stitchpipe.stitching.fidelity import (
        CLASS_ACCURACY,
        FEATURE_DISTANCE,
        FIDELITY,
        NO_LOGITS,
        Answers,
        by_class,
    )
    from stitchpipe.stitching.fidelity.accuracy import accuracy
    from stitchpipe.stitching.labels import labels_of
    from stitchpipe.stitching.layer import StitchingLayer
    from stitchpipe.stitching.objectives import OBJECTIVES, Objective, Step
    from stitchpipe.stitching.running_training import StitchTraining
    from stitchpipe.stitching.side_by_side import stitches_at_once
    from stitchpipe.stitching.source_cache import SourceCache
    from stitchpipe.stitching.target import StitchingTarget
    from stitchpipe.stitching.training import groups, train, train_task_loss

__all__ = [
    "CLASS_ACCURACY",
    "FEATURE_DISTANCE",
    "FIDELITY",
    "NO_LOGITS",
    "OBJECTIVES",
    "Answers",
    "Autocast",
    "DivergedError",
    "Objective",
    "SourceCache",
    "Step",
    "StitchError",
    "StitchTraining",
    "StitchingLayer",
    "StitchingTarget",
    "TrainingBudget",
    "TrainingCurve",
    "UnfittedError",
    "accuracy",
    "by_class",
    "feature_distance",
    "groups",
    "labels_of",
    "native_activations",
    "stitched_activations",
    "stitched_logits",
    "stitches_at_once",
    "train",
    "train_task_loss",
]

_HOMES = {
    "budget": ("Autocast", "TrainingBudget", "TrainingCurve"),
    "errors": ("DivergedError", "StitchError", "UnfittedError"),
    "evaluate": ("feature_distance", "native_activations", "stitched_activations", "stitched_logits"),
    "fidelity": ("CLASS_ACCURACY", "FEATURE_DISTANCE", "FIDELITY", "NO_LOGITS", "Answers", "by_class"),
    "fidelity.accuracy": ("accuracy",),
    "labels": ("labels_of",),
    "layer": ("StitchingLayer",),
    "objectives": ("OBJECTIVES", "Objective", "Step"),
    "running_training": ("StitchTraining",),
    "side_by_side": ("stitches_at_once",),
    "source_cache": ("SourceCache",),
    "target": ("StitchingTarget",),
    "training": ("groups", "train", "train_task_loss"),
}
__getattr__ = on_first_use(__name__, _HOMES)
