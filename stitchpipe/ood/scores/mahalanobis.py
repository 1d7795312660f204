"""Squared Mahalanobis distance from the mean of native rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure
from stitchpipe.ood.scores.distances import distance_scores

if TYPE_CHECKING:
    from stitchpipe.ood.native_rows import NativeRows
    from stitchpipe.rows import Float64


class MahalanobisDistance:
    """Squared Mahalanobis distance from the training mean under the Ledoit-Wolf covariance (2004).

    Fitting costs O(n·q² + q³), a call O(n·q²). Shrinkage keeps the covariance regular for n < q, too.
    """

    def __init__(self, rows: Float64) -> None:
        from sklearn.covariance import LedoitWolf  # noqa: PLC0415 - a second that listing measures should not cost

        self._fitted = LedoitWolf().fit(rows)

    def __call__(self, rows: Float64) -> Float64:
        """Return the distance of every row, ``[n]``."""
        return np.asarray(self._fitted.mahalanobis(rows), dtype=np.float64)


def _fitted(rows: NativeRows, _: int) -> MahalanobisDistance:
    return MahalanobisDistance(rows.known)


MAHALANOBIS, MAHALANOBIS_POSITIONAL = distance_scores(
    Measure(
        name="ood_mahalanobis",
        label="Mahalanobis",
        meaning="How well the Mahalanobis distance from the mean of the target layer's own training images tells "
        "stitched from native test images: |2·AUROC − 1|, 0 not at all, 1 perfectly, in either direction.",
        kind="ood",
        computed_from="stitched_rows",
        range=(0.0, 1.0),
        larger_is_more_similar=False,
        cost="O(n·q² + q³) for a target, O(n·q²) for a stitch",
        literature="Mahalanobis 1936; Ledoit and Wolf 2004; Lee et al. 2018",
    ),
    _fitted,
)
