"""How far stitched representations are from the target layer's own."""

from stitchpipe.ood.energy import energy, energy_statistic
from stitchpipe.ood.energy_detector import EnergyDetector, aupr, energies, fpr95
from stitchpipe.ood.energy_training import (
    DetectorBudget,
    DetectorTraining,
    classifier_of,
    energy_bounded_loss,
    train_detector,
)
from stitchpipe.ood.errors import DetectorDivergedError, DetectorFileError, OodError
from stitchpipe.ood.features import Features, features_of
from stitchpipe.ood.first_samples import FirstSamples
from stitchpipe.ood.frechet import Gaussian, frechet_distance
from stitchpipe.ood.generated import GeneratedImages
from stitchpipe.ood.observation import Observation, Observer, observe
from stitchpipe.ood.positions import PositionSampling
from stitchpipe.ood.reference import TargetReference
from stitchpipe.ood.scores import Scores

__all__ = [
    "DetectorBudget",
    "DetectorDivergedError",
    "DetectorFileError",
    "DetectorTraining",
    "EnergyDetector",
    "Features",
    "FirstSamples",
    "Gaussian",
    "GeneratedImages",
    "Observation",
    "Observer",
    "OodError",
    "PositionSampling",
    "Scores",
    "TargetReference",
    "aupr",
    "classifier_of",
    "energies",
    "energy",
    "energy_bounded_loss",
    "energy_statistic",
    "features_of",
    "fpr95",
    "frechet_distance",
    "observe",
    "train_detector",
]
