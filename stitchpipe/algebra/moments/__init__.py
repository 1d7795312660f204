"""Mergeable summaries of rows: counts, means and centred sums of products, in float64.

Accumulate (`Moments.from_block`, `CrossMoments.from_block`), merge (`merge`, after Chan, Golub and LeVeque 1983), then
assemble a `PairMoments` and hand it to any index.
"""

from stitchpipe.algebra.moments.centring import centre
from stitchpipe.algebra.moments.cross import CrossMoments
from stitchpipe.algebra.moments.own import Moments
from stitchpipe.algebra.moments.pair import NormProducts, PairMoments, augment, pair_from_augmented
from stitchpipe.algebra.moments.wide import Narrowed, narrow, rotated_moments

__all__ = [
    "CrossMoments",
    "Moments",
    "Narrowed",
    "NormProducts",
    "PairMoments",
    "augment",
    "centre",
    "narrow",
    "pair_from_augmented",
    "rotated_moments",
]
