"""How far stitched representations are from the target layer's own."""

from stitchpipe.ood.energy import energy, energy_statistic
from stitchpipe.ood.errors import OodError
from stitchpipe.ood.features import Features, features_of
from stitchpipe.ood.frechet import Gaussian, frechet_distance
from stitchpipe.ood.observation import Observation, Observer, observe
from stitchpipe.ood.positions import PositionSampling
from stitchpipe.ood.reference import TargetReference
from stitchpipe.ood.scores import Scores, Statistic

__all__ = [
    "Features",
    "Gaussian",
    "Observation",
    "Observer",
    "OodError",
    "PositionSampling",
    "Scores",
    "Statistic",
    "TargetReference",
    "energy",
    "energy_statistic",
    "features_of",
    "frechet_distance",
    "observe",
]
