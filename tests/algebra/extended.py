"""Every index of moments in 60 digits, by the textbook: what float64 and storage cost is read against this.

Slow, and only for a few features. Nothing of the project is imported. Cut-offs are exact zeros: all directions of
these data are real.
"""

from __future__ import annotations

import numpy as np
from mpmath import mp, mpf

mp.dps = 60


def exact(rows):
    """Rows as an object array of multi-precision numbers."""
    return np.array([[mpf(float(value)) for value in row] for row in np.asarray(rows)], dtype=object)


def plain(matrix):
    return np.array(matrix.tolist(), dtype=object)


class Side:
    """One side: centred rows, their products, and their eigenvectors."""

    def __init__(self, rows):
        self.n = len(rows)
        self.mean = rows.sum(axis=0) / self.n
        self.rows = rows - self.mean
        self.products = self.rows.T @ self.rows
        values, vectors = mp.eigsy(mp.matrix(self.products.tolist()))
        order = sorted(range(len(values)), key=lambda i: -values[i])
        self.values = np.array([values[i] for i in order], dtype=object)
        self.vectors = plain(vectors)[:, order]
        self.total = sum(self.values)
        self.norms = (self.rows**2).sum(axis=1)

    def whitening(self, ridge=0, rank=None):
        scale = [1 / mp.sqrt(value + ridge * self.total) for value in self.values[:rank]]
        return self.vectors[:, :rank] * np.array(scale, dtype=object)[None, :]

    def explaining(self, share):
        running = mpf(0)
        for rank, value in enumerate(self.values, start=1):
            running += value
            if running >= mpf(share) * self.total:
                return rank
        return len(self.values)


def svd(matrix):
    U, S, V = mp.svd_r(mp.matrix(matrix.tolist()))
    return plain(U), np.array([S[i] for i in range(len(S))], dtype=object), plain(V)


def hsic(x, y, xy):
    n = x.n
    total = (xy**2).sum() - mpf(n) / (n - 2) * (x.norms @ y.norms)
    return total + x.norms.sum() * y.norms.sum() / ((n - 1) * (n - 2))


def in_sample(X, Y, *, ridge, share):
    """All indices that need no map, by name."""
    x, y = Side(X), Side(Y)
    xy = x.rows.T @ y.rows
    U, rho, _ = svd(x.whitening().T @ xy @ y.whitening())
    loadings = U.T @ (x.whitening().T @ x.products)
    weights = np.array([sum(abs(value) for value in row) for row in loadings], dtype=object)
    _, kept, _ = svd(x.whitening(rank=x.explaining(share)).T @ xy @ y.whitening(rank=y.explaining(share)))
    cosine = svd(xy)[1].sum() / mp.sqrt(x.total * y.total)
    penalised = x.whitening(ridge).T @ xy @ y.whitening(ridge)
    shares = [side.values / (side.values + ridge * side.total) for side in (x, y)]
    own = [(side.products**2).sum() for side in (x, y)]
    return {
        "cka": hsic(x, y, xy) / mp.sqrt(hsic(x, x, x.products) * hsic(y, y, y.products)),
        "cka_biased": (xy**2).sum() / mp.sqrt(own[0] * own[1]),
        "cca": rho.sum() / len(rho),
        "cca_sq": (rho**2).sum() / len(rho),
        "svcca": kept.sum() / len(kept),
        "pwcca": weights @ rho / weights.sum(),
        "ridge_cca": svd(penalised)[1].sum() / mp.sqrt(shares[0].sum() * shares[1].sum()),
        "procrustes": 2 - 2 * cosine,
        "procrustes_angle": mp.acos(cosine),
        "gulp": mp.sqrt((shares[0] ** 2).sum() + (shares[1] ** 2).sum() - 2 * (penalised**2).sum()),
    }


def maps(X, Y, *, ridge, rank):
    """(W, b) of every family by name."""
    x, y = Side(X), Side(Y)
    xy = x.rows.T @ y.rows
    white = x.whitening()
    U, S, V = svd(white.T @ xy)
    A, nuclear, B = svd(xy)
    rotation = B.T @ A.T
    found = {
        "dm": xy.T @ white @ white.T,
        "dm_ridge": xy.T @ x.whitening(ridge) @ x.whitening(ridge).T,
        "dm_low_rank": (V[:rank].T * S[None, :rank]) @ U[:, :rank].T @ white.T,
        "dm_orthogonal": nuclear.sum() / np.trace(rotation @ x.products @ rotation.T) * rotation,
    }
    return {name: (W, y.mean - W @ x.mean) for name, W in found.items()}


def held_out(train, test, *, ridge, rank):
    """All indices of maps fitted on `train` and scored on `test`, by name."""
    X, Y = test
    values = {}
    for name, (W, b) in maps(*train, ridge=ridge, rank=rank).items():
        left = ((X @ W.T + b - Y) ** 2).sum()
        values[f"{name}_r2"] = 1 - left / ((Y - Y.sum(axis=0) / len(Y)) ** 2).sum()
        values[f"{name}_struct"] = left / (Y**2).sum()
    return values
