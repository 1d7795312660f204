"""Slow textbook definitions of every index, from rows, importing nothing of this project.

Each follows the definition in the literature rather than the fast form: explicit n×n kernels, orthonormal
bases of column spaces by SVD, loops where they are clearer. They decide what is right; they need not be fast.
"""

from __future__ import annotations

import numpy as np


def centred(X):
    return X - X.mean(axis=0)


# CKA


def hsic_biased(K, L):
    """tr(KHLH), Gretton et al. 2005 (the factor (n−1)⁻² cancels in CKA)."""
    n = len(K)
    H = np.eye(n) - np.full((n, n), 1.0 / n)
    return np.trace(K @ H @ L @ H)


def u_centre(K):
    """Székely and Rizzo 2014, definition 2: the U-centred matrix."""
    n = len(K)
    K = K.copy()
    np.fill_diagonal(K, 0.0)
    rows, columns, total = K.sum(axis=1), K.sum(axis=0), K.sum()
    U = np.zeros_like(K)
    for i in range(n):
        for j in range(n):
            if i != j:
                U[i, j] = K[i, j] - rows[i] / (n - 2) - columns[j] / (n - 2) + total / ((n - 1) * (n - 2))
    return U


def hsic_unbiased(K, L):
    """Σ_{i≠j} ŨᵢⱼṼᵢⱼ / (n(n−3))."""
    n = len(K)
    return (u_centre(K) * u_centre(L)).sum() / (n * (n - 3))


def hsic_song(K, L):
    """Song et al. 2012, equation 5: the same estimator, written without U-centring."""
    n = len(K)
    K, L = K.copy(), L.copy()
    np.fill_diagonal(K, 0.0)
    np.fill_diagonal(L, 0.0)
    one = np.ones(n)
    first = np.trace(K @ L)
    second = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    third = 2.0 / (n - 2) * (one @ K @ L @ one)
    return (first + second - third) / (n * (n - 3))


def cka(X, Y, hsic=hsic_unbiased):
    K, L = X @ X.T, Y @ Y.T
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


# Canonical correlations


def column_space(X, tolerance=1e-9):
    """Orthonormal basis of the centred columns, [n, rank]."""
    U, s, _ = np.linalg.svd(centred(X), full_matrices=False)
    return U[:, s > tolerance * s[0]]


def canonical_correlations(X, Y, tolerance=1e-9):
    """Cosines of the principal angles between the column spaces (Björck and Golub 1973)."""
    return np.linalg.svd(column_space(X, tolerance).T @ column_space(Y, tolerance), compute_uv=False)


def cca(X, Y, tolerance=1e-9):
    return canonical_correlations(X, Y, tolerance).mean()


def cca_sq(X, Y, tolerance=1e-9):
    return (canonical_correlations(X, Y, tolerance) ** 2).mean()


def leading(X, share=0.99):
    """Scores of X on the fewest principal components that hold `share` of the variance."""
    U, s, _ = np.linalg.svd(centred(X), full_matrices=False)
    kept = 1
    while (s[:kept] ** 2).sum() < share * (s**2).sum():
        kept += 1
    return U[:, :kept] * s[:kept]


def svcca(X, Y, share=0.99):
    return cca(leading(X, share), leading(Y, share))


def pwcca(X, Y, tolerance=1e-9):
    """Morcos et al. 2018, section 2.2: Σ αᵢρᵢ with αᵢ = Σⱼ |⟨hᵢ, xⱼ⟩|, normalised."""
    Qx, Qy = column_space(X, tolerance), column_space(Y, tolerance)
    U, rho, _ = np.linalg.svd(Qx.T @ Qy, full_matrices=False)
    variates, neurons = Qx @ U, centred(X)
    alpha = np.zeros(len(rho))
    for i in range(len(rho)):
        for j in range(neurons.shape[1]):
            alpha[i] += abs(variates[:, i] @ neurons[:, j])
    return (alpha / alpha.sum()) @ rho


# Procrustes


def procrustes(X, Y):
    """min over orthogonal R of ‖X̂R − Ŷ‖²_F, by the minimiser itself (Schönemann 1966)."""
    X, Y = centred(X), centred(Y)
    width = max(X.shape[1], Y.shape[1])
    X = np.pad(X, ((0, 0), (0, width - X.shape[1]))) / np.linalg.norm(X)
    Y = np.pad(Y, ((0, 0), (0, width - Y.shape[1]))) / np.linalg.norm(Y)
    U, _, Vt = np.linalg.svd(X.T @ Y)
    return np.linalg.norm(X @ (U @ Vt) - Y) ** 2


def procrustes_angle(X, Y):
    """The angle between Ŷ and X̂R at the best R, from the chord."""
    return 2.0 * np.arcsin(np.sqrt(procrustes(X, Y)) / 2.0)


# Direct matching


def direct_matching(X, Y, tolerance=1e-9):
    """(W, b) of least squares by the pseudo-inverse of the centred rows: the minimum-norm minimiser."""
    W = (np.linalg.pinv(centred(X), rcond=tolerance) @ centred(Y)).T
    return W, Y.mean(axis=0) - W @ X.mean(axis=0)


def predicted(W, b, X):
    return np.stack([W @ x + b for x in X])


def dm_r2(W, b, X, Y):
    """1 − Σᵢⱼ residual² / Σᵢⱼ (deviation from the column mean)²."""
    return 1.0 - ((predicted(W, b, X) - Y) ** 2).sum() / ((Y - Y.mean(axis=0)) ** 2).sum()


def dm_struct(W, b, X, Y):
    return ((predicted(W, b, X) - Y) ** 2).sum() / (Y**2).sum()


def dm_ridge(X, Y, ridge):
    """(W, b) by least squares on rows extended by √(λ‖X̃‖²)·I over zeros: the penalty as data."""
    penalty = np.sqrt(ridge) * np.linalg.norm(centred(X)) * np.eye(X.shape[1])
    rows = np.vstack([centred(X), penalty])
    targets = np.vstack([centred(Y), np.zeros((X.shape[1], Y.shape[1]))])
    W = np.linalg.lstsq(rows, targets, rcond=None)[0].T
    return W, Y.mean(axis=0) - W @ X.mean(axis=0)


def dm_orthogonal(X, Y):
    """(W, b) of the Procrustes rotation of zero-padded sides, then the best factor for it."""
    p, q = X.shape[1], Y.shape[1]
    padded_x = np.pad(centred(X), ((0, 0), (0, max(0, q - p))))
    padded_y = np.pad(centred(Y), ((0, 0), (0, max(0, p - q))))
    U, _, Vt = np.linalg.svd(padded_x.T @ padded_y)
    rotation = (U @ Vt)[:p, :q]
    rotated = centred(X) @ rotation
    W = ((rotated * centred(Y)).sum() / (rotated**2).sum()) * rotation.T
    return W, Y.mean(axis=0) - W @ X.mean(axis=0)


def dm_low_rank(X, Y, rank):
    """(W, b): the unrestricted map, its predictions reduced to their leading principal components."""
    W, _ = direct_matching(X, Y)
    _, _, Vt = np.linalg.svd(centred(X) @ W.T, full_matrices=False)
    W = Vt[:rank].T @ Vt[:rank] @ W
    return W, Y.mean(axis=0) - W @ X.mean(axis=0)


# Penalised


def hat(X, ridge):
    """Predictions at the rows themselves: X̂(X̂ᵀX̂ + nλ)⁻¹X̂ᵀ, rows centred and of mean squared norm 1."""
    n = len(X)
    X = centred(X) * np.sqrt(n) / np.linalg.norm(centred(X))
    return X @ np.linalg.inv(X.T @ X + n * ridge * np.eye(X.shape[1])) @ X.T


def gulp(X, Y, ridge):
    """Boix-Adserà et al. 2022: how far apart the predictions are, over all labels of unit norm, in all."""
    return np.linalg.norm(hat(X, ridge) - hat(Y, ridge))


def part_whitened(X, ridge):
    """X̃(X̃ᵀX̃ + λ‖X̃‖²)^-½ by its singular values."""
    U, s, Vt = np.linalg.svd(centred(X), full_matrices=False)
    return U * (s / np.sqrt(s**2 + ridge * (s**2).sum())) @ Vt


def ridge_cca(X, Y, ridge):
    X, Y = part_whitened(X, ridge), part_whitened(Y, ridge)
    return np.linalg.svd(X.T @ Y, compute_uv=False).sum() / (np.linalg.norm(X) * np.linalg.norm(Y))


def root(K, tolerance=1e-12):
    """The symmetric root; what is zero up to rounding is zero, or its root would be 1e-8."""
    values, vectors = np.linalg.eigh(K)
    return (vectors * np.sqrt(np.where(values > tolerance * values[-1], values, 0.0))) @ vectors.T


def nbs(X, Y):
    """The fidelity of both kernels, tr (K^½ L K^½)^½ (Tang et al. 2020), of kernels of trace 1."""
    K, L = (Z @ Z.T / np.trace(Z @ Z.T) for Z in (centred(X), centred(Y)))
    return np.trace(root(root(K) @ L @ root(K)))


# One layer by itself


def spectrum(X, tolerance=1e-12):
    """Eigenvalues of the covariance that are not rounding, descending."""
    values = np.linalg.svd(centred(X), compute_uv=False) ** 2
    return values[values > tolerance * values[0]]


def participation_ratio(X):
    values = spectrum(X)
    return values.sum() ** 2 / (values**2).sum()


def effective_rank(X):
    """Roy and Vetterli 2007: exp of the entropy of the singular values' shares."""
    shares = np.sqrt(spectrum(X)) / np.sqrt(spectrum(X)).sum()
    return np.exp(-sum(share * np.log(share) for share in shares))


def spectrum_exponent(X, first=11, last=500):
    """Slope of ln λ over ln rank by weighted normal equations, weights 1/rank."""
    values = spectrum(X)[first - 1 : last]
    ranks = np.arange(first, first + len(values))
    design = np.column_stack([np.log(ranks), np.ones(len(ranks))])
    weights = np.diag(1.0 / ranks)
    return -np.linalg.solve(design.T @ weights @ design, design.T @ weights @ np.log(values))[0]


def two_nn(X):
    """Facco et al. 2017: N / Σ ln(r₂/r₁), points with r₁ = 0 left out."""
    logs = []
    for i in range(len(X)):
        near, far = sorted(np.sqrt(((X[i] - X[j]) ** 2).sum()) for j in range(len(X)) if j != i)[:2]
        if near > 0:
            logs.append(np.log(far / near))
    return len(logs) / sum(logs)


def clustered_error(values, groups):
    """Standard error of a mean of clustered values: deviations summed by cluster, the correction G/(G − 1) (CR1)."""
    values, n = np.asarray(values, float), len(values)
    names = sorted(set(groups))
    total = 0.0
    for name in names:
        within = sum(values[i] - values.mean() for i in range(n) if groups[i] == name)
        total += within**2
    return np.sqrt(total * len(names) / (len(names) - 1)) / n


def clustered_ratio_error(above, below, groups):
    """Standard error of a ratio of two totals over clusters, linearised (Cochran 1977, chapter 6)."""
    names = sorted(set(groups))
    pairs = [(float(above[groups == name].sum()), float(below[groups == name].sum())) for name in names]
    ratio = sum(a for a, _ in pairs) / sum(b for _, b in pairs)
    spread = sum((a - ratio * b) ** 2 for a, b in pairs) * len(names) / (len(names) - 1)
    return np.sqrt(spread) / sum(b for _, b in pairs)
