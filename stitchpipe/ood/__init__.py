"""How far stitched representations are from the target layer's own."""

from stitchpipe.ood.errors import OodError
from stitchpipe.ood.features import Features, features_of
from stitchpipe.ood.frechet import Gaussian, frechet_distance
from stitchpipe.ood.reference import TargetReference
from stitchpipe.ood.scores import Scores, Statistic

__all__ = [
    "Features",
    "Gaussian",
    "OodError",
    "Scores",
    "Statistic",
    "TargetReference",
    "features_of",
    "frechet_distance",
]
