"""Networks by name: architectures, weights, training on the spot."""

from stitchpipe.models.architectures import architectures, build, demand_known, published, takes_classes
from stitchpipe.models.checkpoint_files import checkpoint_is_there, shards_of
from stitchpipe.models.errors import ArchitectureError, OtherWeightsError, WeightsError
from stitchpipe.models.objects import held as hold_module
from stitchpipe.models.origins import checkpoint, declared_network, demand_checkpoint, told_origin
from stitchpipe.models.training import TrainingError, TrainingRecord, accuracy, train_classifier
from stitchpipe.models.training_state import KeptState
from stitchpipe.models.weights import (
    demand_weights,
    load_weights,
    load_weights_bytes,
    weights_bytes,
    weights_digest,
)

__all__ = [
    "ArchitectureError",
    "KeptState",
    "OtherWeightsError",
    "TrainingError",
    "TrainingRecord",
    "WeightsError",
    "accuracy",
    "architectures",
    "build",
    "checkpoint",
    "checkpoint_is_there",
    "declared_network",
    "demand_checkpoint",
    "demand_known",
    "demand_weights",
    "hold_module",
    "load_weights",
    "load_weights_bytes",
    "published",
    "shards_of",
    "takes_classes",
    "told_origin",
    "train_classifier",
    "weights_bytes",
    "weights_digest",
]
