"""An out-of-distribution score of one's own: how far the mean of stitched images has moved, in native units."""

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.ood import Native, Score, Stitched


def fit(native: Native):
    """Return the score of stitches into one target: ‖(mean of stitched − mean of native test images) / std‖ / √q."""
    images = native.test.features.mean
    mean, spread = images.mean(axis=0), images.std(axis=0)
    varies = spread > 0
    if not varies.any():
        return lambda stitched: Number.missing("constant", "the target layer's features do not vary")

    def score(stitched: Stitched) -> Number:
        shift = (stitched.observed.features.mean.mean(axis=0) - mean)[varies] / spread[varies]
        return Number(float(np.sqrt((shift**2).mean())))

    return score


MEAN_SHIFT = Score(
    measure=Measure(
        name="ood_mean_shift",
        label="shift of the mean",
        meaning="How far the mean of stitched test images is from that of native ones, in native standard deviations.",
        kind="ood",
        computed_from="stitched_rows",
        range=(0.0, float("inf")),
        larger_is_more_similar=False,
        cost="O(n·q)",
    ),
    fit=fit,
)
