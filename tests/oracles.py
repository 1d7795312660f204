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
