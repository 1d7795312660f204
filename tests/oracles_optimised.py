"""Slow definitions of what is an optimum: SciPy's solvers are asked for it, and nothing of ours."""

from __future__ import annotations

import numpy as np
import scipy.optimize


def soft_matching(X, Y, spread=1e-9):
    """Khosla and Williams 2024: max Σ P_ij ρ_ij over plans, as a linear programme of p·q variables."""
    X, Y = (rows[:, rows.std(axis=0) > spread] for rows in (X, Y))
    p, q = X.shape[1], Y.shape[1]
    correlations = np.array([[np.corrcoef(x, y)[0, 1] for y in Y.T] for x in X.T])
    sums = np.vstack([np.kron(np.eye(p), np.ones(q)), np.kron(np.ones(p), np.eye(q))])
    masses = np.concatenate([np.full(p, 1.0 / p), np.full(q, 1.0 / q)])
    found = scipy.optimize.linprog(-correlations.ravel(), A_eq=sums, b_eq=masses, method="highs")
    return -found.fun


def logistic_probe(X, labels, asked, strength, standardise=True):
    """Classes of `asked` rows: softmax regression of standardised rows, C·Σ loss + ½‖W‖², intercepts free."""
    live = X.std(axis=0) > 1e-9
    mean, deviation = X[:, live].mean(axis=0), X[:, live].std(axis=0) if standardise else 1.0
    rows, asked = ((given[:, live] - mean) / deviation for given in (X, asked))
    known = np.unique(labels)
    wanted = (labels[:, None] == known[None, :]).astype(float)

    def loss(flat):
        W = flat.reshape(rows.shape[1] + 1, len(known))
        scores = rows @ W[:-1] + W[-1]
        scores = scores - scores.max(axis=1, keepdims=True)
        return (
            strength * (np.log(np.exp(scores).sum(axis=1)) - (wanted * scores).sum(axis=1)).sum()
            + 0.5 * (W[:-1] ** 2).sum()
        )

    start = np.zeros((rows.shape[1] + 1) * len(known))
    W = scipy.optimize.minimize(loss, start, options={"gtol": 1e-4}).x.reshape(-1, len(known))
    return known[np.argmax(asked @ W[:-1] + W[-1], axis=1)]
