"""Distance to the k-th nearest native row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure
from stitchpipe.ood.scores.distances import distance_scores

if TYPE_CHECKING:
    from stitchpipe.ood.native_rows import NativeRows
    from stitchpipe.rows import Float64


class NeighbourDistance:
    """Euclidean distance to the k-th nearest training row (Sun et al. 2022); k is cut to the training rows.

    A call costs O(n·n_train·q).
    """

    def __init__(self, rows: Float64, neighbours: int) -> None:
        from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - a second that listing should not cost

        self._fitted = NearestNeighbors(n_neighbors=min(neighbours, len(rows)), algorithm="brute").fit(rows)

    def __call__(self, rows: Float64) -> Float64:
        """Return the distance of every row, ``[n]``."""
        distances, _ = self._fitted.kneighbors(rows)
        return np.asarray(distances[:, -1], dtype=np.float64)


def _fitted(rows: NativeRows, neighbours: int) -> NeighbourDistance:
    return NeighbourDistance(rows.known, neighbours)


KNN, KNN_POSITIONAL = distance_scores(
    Measure(
        name="ood_knn",
        label="k-NN",
        meaning="How well the distance to the k-th nearest of the target layer's own training images tells stitched "
        "from native test images: |2·AUROC − 1|, 0 not at all, 1 perfectly, in either direction.",
        kind="ood",
        computed_from="stitched_rows",
        range=(0.0, 1.0),
        larger_is_more_similar=False,
        cost="O(n·n_train·q) for a stitch",
        literature="Sun et al. 2022",
    ),
    _fitted,
)
