"""Detectors fitted on a target layer's native rows, and how well each tells stitched images from native ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.ood.detectors import (
    MahalanobisDistance,
    NeighbourDistance,
    ResidualNorm,
    Standardiser,
    two_sided,
)
from stitchpipe.ood.scores import CONSTANT, NO_RESIDUAL, TOO_FEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.measures import Number
    from stitchpipe.rows import Float64

DETECTORS = ("mahalanobis", "knn", "vim")


class Detection:
    """Mahalanobis distance, k-NN distance and residual norm under one view, fitted once.

    A view gives one row per image or several; the score of an image is the mean over its rows. Rows are in training
    units (`Standardiser`).

    Parameters
    ----------
    train, test
        Native rows ``[images, rows, q]``; at least two training images.
    neighbours
        k of the k-nearest-neighbour distance.

    Notes
    -----
    For N training rows, fitting costs O(N·q² + q³), and statistics of M rows O(M·q·(q + N)). Native scores are taken
    once. Nothing changes afterwards: threads may share one.
    """

    def __init__(self, train: Float64, test: Float64, *, neighbours: int) -> None:
        rows = train.reshape(-1, train.shape[2])
        self._standardise = Standardiser.from_rows(rows)
        self._unfit = TOO_FEW if len(train) < 2 else None if self._standardise.varies else CONSTANT
        self._fitted: dict[str, tuple[Callable[[Float64], Float64], Float64]] = {}
        if self._unfit is not None:
            return
        known = self._standardise(rows)
        distances: dict[str, Callable[[Float64], Float64]] = {
            "mahalanobis": MahalanobisDistance(known),
            "knn": NeighbourDistance(known, neighbours),
        }
        if known.shape[1] > 1:
            distances["vim"] = ResidualNorm(known)
        self._fitted = {name: (one, self._of_images(one, test)) for name, one in distances.items()}

    def statistics(self, stitched: Float64) -> dict[str, Number]:
        """Return |2·AUROC − 1| by detector of stitched ``[images, rows, q]`` against the native test images."""
        if self._unfit is not None:
            return dict.fromkeys(DETECTORS, self._unfit)
        found = {
            name: two_sided(native, self._of_images(distance, stitched))
            for name, (distance, native) in self._fitted.items()
        }
        return {name: found.get(name, NO_RESIDUAL) for name in DETECTORS}

    def _of_images(self, distance: Callable[[Float64], Float64], images: Float64) -> Float64:
        rows = self._standardise(images.reshape(-1, images.shape[2]))
        return np.asarray(distance(rows).reshape(images.shape[:2]).mean(axis=1), dtype=np.float64)
