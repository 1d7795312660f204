"""A small summary that the tests write; importable by their child processes."""

from __future__ import annotations

import numpy as np

CONTENT = {"rows": 29, "view": "pooled", "about": ["x", None, 1.5]}


def arrays(*, noise=0.0, n=9):
    """Return named arrays: the same in every process."""
    rng = np.random.default_rng(n)
    return {
        "mean": rng.standard_normal(n) * (1 + noise),
        "covariance": rng.standard_normal((n, n)),
        "norms": rng.standard_normal(n).astype("float32"),
        "kept": np.arange(n) % 2 == 0,
    }


def same(found, wanted):
    """Return whether two sets of arrays are the same to the bit."""
    return found.keys() == wanted.keys() and all(
        (found[name].shape, found[name].dtype, found[name].tobytes())
        == (wanted[name].shape, wanted[name].dtype, wanted[name].tobytes())
        for name in wanted
    )
