"""Pairs of representations with known conditioning, rank and relation."""

from __future__ import annotations

import numpy as np

from stitchpipe import algebra

OF_MOMENTS = tuple(
    name for name, index in algebra.INDICES.items() if index.measure.computed_from == "moments"
)
CHOSEN = (
    "svcca(0.9)",
    "ridge_cca(0.1)",
    "gulp(0.3)",
    "dm_ridge_r2(0.1)",
    "dm_ridge_struct(0.1)",
    "dm_low_rank_r2(2)",
    "dm_low_rank_struct(2)",
)
"""Indices with a parameter that is not the default."""
ALL = (*OF_MOMENTS, *CHOSEN)

EPS = 2.0**-52


def orthogonal(width, seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    return q


def conditioned(n, p, condition, seed, mean=3.0):
    """Rows [n, p] whose centred singular values run geometrically from 1 to 1/condition, times √n."""
    rng = np.random.default_rng(seed)
    left = rng.standard_normal((n, p))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    values = np.geomspace(1.0, 1.0 / condition, p) * np.sqrt(n)
    return (left * values) @ orthogonal(p, seed + 1) + mean


def related(n=200, p=12, q=9, seed=0, condition=5.0, noise=0.7):
    """Two representations that share a part: X well conditioned, Y an affine map of it with noise."""
    X = conditioned(n, p, condition, seed)
    rng = np.random.default_rng(seed + 2)
    Y = X @ rng.standard_normal((p, q)) / np.sqrt(p) + noise * rng.standard_normal((n, q)) - 2.0
    return X, Y
