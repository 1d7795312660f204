"""How far stitched representations are from the target layer's own.

Importing this room is cheap, so that the scores which it declares (`.scores`) can be listed without torch; what a name
needs is imported when it is first used.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.ood.detector.detector import EnergyDetector, energies
    from stitchpipe.ood.detector.first_samples import FirstSamples
    from stitchpipe.ood.detector.generated_images import GeneratedImages
    from stitchpipe.ood.detector.training import (
        DetectorBudget,
        DetectorTraining,
        classifier_of,
        energy_bounded_loss,
        train_detector,
    )
    from stitchpipe.ood.errors import DetectorDivergedError, DetectorFileError, OodError
    from stitchpipe.ood.features import Features, features_of
    from stitchpipe.ood.native_rows import auroc
    from stitchpipe.ood.observation import Observation, Observer, observe
    from stitchpipe.ood.positions import PositionSampling
    from stitchpipe.ood.reference import TargetReference, native_of, observed
    from stitchpipe.ood.scores import OF_THE_DETECTOR, SCORES, Fitted, Native, Score, Stitched

__all__ = [
    "OF_THE_DETECTOR",
    "SCORES",
    "DetectorBudget",
    "DetectorDivergedError",
    "DetectorFileError",
    "DetectorTraining",
    "EnergyDetector",
    "Features",
    "FirstSamples",
    "Fitted",
    "GeneratedImages",
    "Native",
    "Observation",
    "Observer",
    "OodError",
    "PositionSampling",
    "Score",
    "Stitched",
    "TargetReference",
    "auroc",
    "classifier_of",
    "energies",
    "energy_bounded_loss",
    "features_of",
    "native_of",
    "observe",
    "observed",
    "train_detector",
]

_HOMES = {
    "detector.detector": ("EnergyDetector", "energies"),
    "detector.first_samples": ("FirstSamples",),
    "detector.generated_images": ("GeneratedImages",),
    "detector.training": (
        "DetectorBudget",
        "DetectorTraining",
        "classifier_of",
        "energy_bounded_loss",
        "train_detector",
    ),
    "errors": ("DetectorDivergedError", "DetectorFileError", "OodError"),
    "features": ("Features", "features_of"),
    "native_rows": ("auroc",),
    "observation": ("Observation", "Observer", "observe"),
    "positions": ("PositionSampling",),
    "reference": ("TargetReference", "native_of", "observed"),
    "scores": ("OF_THE_DETECTOR", "SCORES", "Fitted", "Native", "Score", "Stitched"),
}
__getattr__ = on_first_use(__name__, _HOMES)
