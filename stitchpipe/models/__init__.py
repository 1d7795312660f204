"""Networks by name: architectures, weights, training on the spot.

Importing this room is cheap: what needs torch is imported when it is first used.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use
from stitchpipe.models.errors import ArchitectureError, OtherWeightsError, WeightsError
from stitchpipe.models.sharded_files import checkpoint_is_there, shards_of

if TYPE_CHECKING:
    from stitchpipe.models.by_name import architectures, build, demand_known, published, takes_classes
    from stitchpipe.models.objects import hold_module
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

_HOMES = {
    "by_name": ("architectures", "build", "demand_known", "published", "takes_classes"),
    "objects": ("hold_module",),
    "origins": ("checkpoint", "declared_network", "demand_checkpoint", "told_origin"),
    "training": ("TrainingError", "TrainingRecord", "accuracy", "train_classifier"),
    "training_state": ("KeptState",),
    "weights": ("demand_weights", "load_weights", "load_weights_bytes", "weights_bytes", "weights_digest"),
}
__getattr__ = on_first_use(__name__, _HOMES)
