"""The Fréchet distance of two Gaussians (Dowson and Landau 1982)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stitchpipe.rows import Float64


def frechet_distance(mean_1: Float64, covariance_1: Float64, mean_2: Float64, covariance_2: Float64) -> float:
    """Return ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁^½ Σ₂ Σ₁^½)^½).

    Both square roots are of symmetric positive semi-definite matrices, so eigenvalues suffice and singular
    covariances do no harm. O(p³) time. Not negative: rounding below zero is cut off.
    """
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    middle = root @ covariance_2 @ root
    shared = np.sqrt(np.clip(np.linalg.eigvalsh((middle + middle.T) / 2), 0.0, None)).sum()
    spread = np.trace(covariance_1) + np.trace(covariance_2) - 2.0 * shared
    return float(max(((mean_1 - mean_2) ** 2).sum() + spread, 0.0))
