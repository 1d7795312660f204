"""How far stitched representations are from the target layer's own: one file per score, its facts beside its formula.

An installed package adds a score of its own through an entry point::

    [project.entry-points."stitchpipe.ood_scores"]
    ood_cosine = "my_package.cosine:COSINE"

where ``COSINE`` is a `Score` of the same name. A sweep asks for it: ``[ood] scores = ["ood_cosine"]``.
"""

from stitchpipe.ood.errors import OodError
from stitchpipe.ood.score import Fitted, Native, Score, Stitched
from stitchpipe.ood.scores.detector import OF_THE_DETECTOR
from stitchpipe.ood.scores.energy import ENERGY
from stitchpipe.ood.scores.frechet import FRECHET, FRECHET_POSITIONAL
from stitchpipe.ood.scores.mahalanobis import MAHALANOBIS, MAHALANOBIS_POSITIONAL
from stitchpipe.ood.scores.nearest_neighbours import KNN, KNN_POSITIONAL
from stitchpipe.ood.scores.negative_mass import NEGATIVE_MASS
from stitchpipe.ood.scores.vim import VIM, VIM_POSITIONAL
from stitchpipe.plugins import Plugins, Registry

__all__ = ["OF_THE_DETECTOR", "SCORES", "Fitted", "Native", "Score", "Stitched"]

_OF_IMAGES = (MAHALANOBIS, KNN, VIM, FRECHET, NEGATIVE_MASS)
_OF_POSITIONS = (MAHALANOBIS_POSITIONAL, KNN_POSITIONAL, VIM_POSITIONAL, FRECHET_POSITIONAL)

SCORES = Registry(
    (*_OF_IMAGES, *_OF_POSITIONS, ENERGY), Plugins("stitchpipe.ood_scores", "ood.scores", OodError), Score
)
"""Every score by its name: our own, which each stitch gets, and those of packages, which a sweep asks for."""
