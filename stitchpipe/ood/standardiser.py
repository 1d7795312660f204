"""Features in the units of native training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stitchpipe.ood.features import Features
    from stitchpipe.rows import Float64


EPS = float(np.finfo(np.float64).eps)


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
        # The variance over all positions is that of the images' means plus the mean of the variances inside images.
        within = (features.spread**2).mean(axis=0) if features.spread.size else 0.0
        deviation = np.sqrt(features.mean.var(axis=0) + within)
        return cls(features.mean.mean(axis=0), deviation, features.n_samples)

    def __call__(self, rows: Float64) -> Float64:
        """Return rows in training units, ``[n, q]``."""
        return np.asarray((rows - self.mean) / self.scale, dtype=np.float64)
