"""Distances from a training set, and how well one tells foreign rows from native ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from stitchpipe.measures import Number

if TYPE_CHECKING:
    from stitchpipe.ood.features import Features
    from stitchpipe.rows import Float64

EPS = float(np.finfo(np.float64).eps)
ACTIVATION_EPS = float(np.finfo(np.float32).eps)
"""Relative rounding of what networks give."""


class Standardiser:
    """Centres features, and divides each by its own standard deviation.

    A feature that does not vary in training (a dead channel) has no unit of its own: it is divided by the root
    mean square of the others' standard deviations, so that a value where there was none counts, and the result
    does not depend on the scale of the layer.

    Parameters
    ----------
    mean, deviation
        ``[q]``, of native training rows.
    count
        How many rows those are of.

    Attributes
    ----------
    mean, scale
        ``[q]``: what is taken off, and what is divided by.
    varies
        Whether any feature does, beyond rounding: std > n·eps·|mean|.
    """

    def __init__(self, mean: Float64, deviation: Float64, count: int) -> None:
        # A deviation below the rounding of the mean is that of a constant feature.
        alive = deviation > count * EPS * np.abs(mean)
        self.varies = bool(alive.any())
        unit = float(np.sqrt((deviation[alive] ** 2).mean())) if self.varies else 1.0
        self.mean, self.scale = mean, np.where(alive, deviation, unit)

    @classmethod
    def from_rows(cls, rows: Float64) -> Standardiser:
        """Take the units of rows ``[n, q]``."""
        return cls(rows.mean(axis=0), rows.std(axis=0), len(rows))

    @classmethod
    def of_positions(cls, features: Features) -> Standardiser:
        """Take the units of all positions of all images: the variance is that within and that between images."""
        # The variance over all positions is that of the images' means plus the mean of the variances inside
        # images.
        within = (features.spread**2).mean(axis=0) if features.spread.size else 0.0
        deviation = np.sqrt(features.mean.var(axis=0) + within)
        return cls(features.mean.mean(axis=0), deviation, features.n_samples)

    def __call__(self, rows: Float64) -> Float64:
        """Return rows in training units, ``[n, q]``."""
        return np.asarray((rows - self.mean) / self.scale, dtype=np.float64)


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


def principal_dimension(width: int) -> int:
    """Return of how many directions the principal subspace is made, 0 for a single feature.

    Wang et al. (2022) take 1,000 of 2,048 features and 512 of 768; narrower layers, which they do not have, are halved.
    """
    return 1000 if width >= 2048 else 512 if width >= 768 else width // 2


class ResidualNorm:
    """Length of a row outside the principal subspace of training rows: the residual of ViM (Wang et al. 2022).

    r(x) = ‖(I − VᵀV)(x − μ)‖ with V ``[D, q]`` the principal directions of training rows about their mean μ and D of
    `principal_dimension`, fewer where the rows span fewer. ViM's origin and its logit come from the last layer's
    weights, which other layers do not have: the mean stands for the origin, and the residual alone is the score.
    Lengths below √q·eps32·‖x − μ‖ are the rounding of activations, and count as 0.

    Fitting costs O(n·q² + q³), a call O(n·q·D).

    Parameters
    ----------
    rows
        ``[n, q]``, n and q at least 2.
    """

    def __init__(self, rows: Float64) -> None:
        count = min(principal_dimension(rows.shape[1]), len(rows) - 1)
        # With more rows than features the covariance is the smaller matrix; otherwise the rows are
        # decomposed as they are.
        solver = "covariance_eigh" if len(rows) >= rows.shape[1] else "full"
        fitted = PCA(n_components=count, svd_solver=solver).fit(rows)
        scale = np.asarray(fitted.explained_variance_)
        # Directions that the training rows do not span are rounding, and would hide what lies outside.
        spanned = scale > scale[0] * max(rows.shape) * EPS
        self._mean, self._directions = fitted.mean_, fitted.components_[spanned]

    def __call__(self, rows: Float64) -> Float64:
        """Return the length of every row's residual, ``[n]``."""
        centred = rows - self._mean
        outside = centred - centred @ self._directions.T @ self._directions
        length, whole = np.linalg.norm(outside, axis=1), np.linalg.norm(centred, axis=1)
        rounding = np.sqrt(rows.shape[1]) * ACTIVATION_EPS * whole
        return np.asarray(np.where(length > rounding, length, 0.0), dtype=np.float64)


def auroc(native: Float64, foreign: Float64) -> float:
    """Return the probability that a foreign row is farther than a native one, ties counted half."""
    truth = np.repeat([0, 1], [len(native), len(foreign)])
    return float(roc_auc_score(truth, np.concatenate([native, foreign])))


def two_sided(native: Float64, foreign: Float64) -> Number:
    """Return |2·AUROC − 1| of two samples of distances, with the AUROC beside it."""
    area = auroc(native, foreign)
    return Number(abs(2.0 * area - 1.0)).beside(auroc=area)
