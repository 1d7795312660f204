"""Distances from a training set, and how well one tells foreign rows from native ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    from stitchpipe.rows import Float64

EPS = float(np.finfo(np.float64).eps)


class Standardiser:
    """Centres features, and divides each by its own standard deviation.

    A feature that does not vary in training (a dead channel) has no unit of its own: it is divided by the root
    mean square of the others' standard deviations, so that a value where there was none counts, and the result
    does not depend on the scale of the layer.

    Parameters
    ----------
    rows
        ``[n, q]``, native training rows.

    Attributes
    ----------
    varies
        Whether any feature does, beyond rounding: std > n·eps·|mean|.
    """

    def __init__(self, rows: Float64) -> None:
        self._mean, scale = rows.mean(axis=0), rows.std(axis=0)
        alive = scale > len(rows) * EPS * np.abs(self._mean)
        self.varies = bool(alive.any())
        unit = float(np.sqrt((scale[alive] ** 2).mean())) if self.varies else 1.0
        self._scale = np.where(alive, scale, unit)

    def __call__(self, rows: Float64) -> Float64:
        """Return rows in training units, ``[n, q]``."""
        return np.asarray((rows - self._mean) / self._scale, dtype=np.float64)


class MahalanobisDistance:
    """Squared Mahalanobis distance from the training mean under the Ledoit-Wolf covariance (2004).

    Fitting costs O(n·q² + q³), a call O(n·q²). Shrinkage keeps the covariance regular for n < q, too.
    """

    def __init__(self, rows: Float64) -> None:
        self._fitted = LedoitWolf().fit(rows)

    def __call__(self, rows: Float64) -> Float64:
        """Return the distance of every row, ``[n]``."""
        return np.asarray(self._fitted.mahalanobis(rows), dtype=np.float64)


class NeighbourDistance:
    """Euclidean distance to the k-th nearest training row (Sun et al. 2022); k is cut to the training rows.

    A call costs O(n·n_train·q).
    """

    def __init__(self, rows: Float64, neighbours: int) -> None:
        self._fitted = NearestNeighbors(n_neighbors=min(neighbours, len(rows)), algorithm="brute").fit(rows)

    def __call__(self, rows: Float64) -> Float64:
        """Return the distance of every row, ``[n]``."""
        distances, _ = self._fitted.kneighbors(rows)
        return np.asarray(distances[:, -1], dtype=np.float64)


def auroc(native: Float64, foreign: Float64) -> float:
    """Return the probability that a foreign row is farther than a native one, ties counted half."""
    truth = np.repeat([0, 1], [len(native), len(foreign)])
    return float(roc_auc_score(truth, np.concatenate([native, foreign])))
