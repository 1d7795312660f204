"""How far stitched representations are from the target layer's own."""

from stitchpipe.ood.reference import Scores, Statistic, TargetReference

__all__ = ["Scores", "Statistic", "TargetReference"]
