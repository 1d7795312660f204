"""Networks by name: architectures, weights, training on the spot."""

from stitchpipe.models.architectures import ArchitectureError, architectures, build
from stitchpipe.models.training import TrainingError, TrainingRecord, accuracy, train_classifier
from stitchpipe.models.weights import WeightsError, load_weights, save_weights, weights_digest

__all__ = [
    "ArchitectureError",
    "TrainingError",
    "TrainingRecord",
    "WeightsError",
    "accuracy",
    "architectures",
    "build",
    "load_weights",
    "save_weights",
    "train_classifier",
    "weights_digest",
]
