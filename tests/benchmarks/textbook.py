"""Indices as a practised user of NumPy writes them, in the type of the arrays: baselines for the plain functions."""

from __future__ import annotations

import numpy as np


def centred(X):
    return X - X.mean(axis=0)


def cka_biased(X, Y):
    X, Y = centred(X), centred(Y)
    return np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


def cka(X, Y):
    """Debiased, by features: the form over samples would take matrices of 10,000 × 10,000."""
    X, Y = centred(X), centred(Y)
    k, l = (X**2).sum(axis=1), (Y**2).sum(axis=1)  # noqa: E741 - the letters of the formula
    n = len(X)

    def hsic(squared_norm, a, b):
        return squared_norm - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))

    xy = hsic(np.linalg.norm(X.T @ Y) ** 2, k, l)
    return xy / np.sqrt(hsic(np.linalg.norm(X.T @ X) ** 2, k, k) * hsic(np.linalg.norm(Y.T @ Y) ** 2, l, l))


def procrustes(X, Y):
    X, Y = centred(X), centred(Y)
    return 2 - 2 * np.linalg.norm(X.T @ Y, "nuc") / (np.linalg.norm(X) * np.linalg.norm(Y))


def r2_by_lstsq(X, Y):
    X, Y = centred(X), centred(Y)
    W = np.linalg.lstsq(X, Y)[0]
    return 1 - np.linalg.norm(X @ W - Y) ** 2 / np.linalg.norm(Y) ** 2


def r2_by_solve(X, Y):
    """Normal equations: faster, with no rank and no condition, and wrong where the source is singular."""
    X, Y = centred(X), centred(Y)
    W = np.linalg.solve(X.T @ X, X.T @ Y)
    return 1 - np.linalg.norm(X @ W - Y) ** 2 / np.linalg.norm(Y) ** 2


def cca(X, Y):
    Qx, Qy = np.linalg.qr(centred(X))[0], np.linalg.qr(centred(Y))[0]
    return np.linalg.svd(Qx.T @ Qy, compute_uv=False).mean()


def svcca(X, Y):
    def leading(Z):
        U, S, _ = np.linalg.svd(centred(Z), full_matrices=False)
        return U[:, : np.searchsorted(np.cumsum(S**2) / np.sum(S**2), 0.99) + 1]

    return np.linalg.svd(leading(X).T @ leading(Y), compute_uv=False).mean()


def pwcca(X, Y):
    X = centred(X)
    Qx, Qy = np.linalg.qr(X)[0], np.linalg.qr(centred(Y))[0]
    U, rho, _ = np.linalg.svd(Qx.T @ Qy)
    weights = np.abs((Qx @ U).T @ X).sum(axis=1)
    return (weights * rho).sum() / weights.sum()
