"""The Fréchet distance of two Gaussians (Dowson and Landau 1982), from factors of their covariances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stitchpipe.rows import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """Mean μ ``[d]`` and a factor R ``[min(n, d), d]`` of the covariance Σ = RᵀR."""

    mean: Float64
    factor: Float64

    @classmethod
    def from_rows(cls, rows: Float64) -> Gaussian:
        """Fit to rows ``[n, d]``, n ≥ 2, with n − 1 in the denominator. O(n·d²) time; Σ is not formed."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        factor = np.linalg.qr(centred, mode="r") if len(rows) > rows.shape[1] else centred
        return cls(mean, factor / np.sqrt(len(rows) - 1))

    @property
    def trace(self) -> float:
        """Return tr Σ, the total variance."""
        return float((self.factor**2).sum())


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a^½ Σ_b Σ_a^½)^½, at least 0.

    Notes
    -----
    The last trace is the nuclear norm of R_a R_bᵀ, so that no square root is taken of rounded eigenvalues: the
    error is about eps·(tr Σ_a + tr Σ_b), for singular covariances too, where roots of eigenvalues leave √eps.
    What rounding takes below zero is cut off. O(min(n, d)³) time.
    """
    shared = float(np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum())
    offset = float(((a.mean - b.mean) ** 2).sum())
    return offset + max(a.trace + b.trace - 2.0 * shared, 0.0)
