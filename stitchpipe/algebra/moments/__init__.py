"""Mergeable summaries of rows: counts, means and centred sums of products, in float64.

Accumulate (`Moments.from_block`, `CrossMoments.from_block`), merge (`merge`, after Chan, Golub and LeVeque 1983), then
assemble a `PairMoments` and hand it to any index.
"""

from stitchpipe.algebra.moments.centring import centre
from stitchpipe.algebra.moments.cross import CrossMoments
from stitchpipe.algebra.moments.held_out import in_coordinates_of
from stitchpipe.algebra.moments.own import Moments
from stitchpipe.algebra.moments.pair import (
    NormProducts,
    PairMoments,
    augment,
    pair_from_augmented,
    rotated_moments,
)
from stitchpipe.algebra.moments.rows import CentredRows, centred_pair
from stitchpipe.algebra.moments.triangle import triangle

__all__ = [
    "CentredRows",
    "CrossMoments",
    "Moments",
    "NormProducts",
    "PairMoments",
    "augment",
    "centre",
    "centred_pair",
    "in_coordinates_of",
    "pair_from_augmented",
    "rotated_moments",
    "triangle",
]
