"""Exact optimal transport between two sets of equal masses: what matches features in which no order is shared."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra.errors import UndefinedIndexError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

MOST_PIVOTS: Final = 10**8
"""Of the network simplex: over a thousand times what 2,047 × 2,048 features were seen to need."""
_ARRAY_LIBRARIES: Final = {"torch": "PYTORCH", "jax": "JAX", "cupy": "CUPY", "tensorflow": "TENSORFLOW"}


def best_transport(gains: npt.NDArray[np.float64], *, index: str) -> float:
    """Return max Σ P_ij·gain_ij over plans P ≥ 0 of ``gains [p, q]`` with row sums 1/p and column sums 1/q.

    Of equally many rows and columns some permutation is a best plan, and the assignment problem is solved instead,
    three times as fast.

    Raises
    ------
    UndefinedIndexError
        ``not_converged``: no optimum was found within `MOST_PIVOTS`.

    Notes
    -----
    Time about O(p·q·max(p, q)) as seen, memory some 60 bytes for each of p·q. The value is exact to a few eps times the
    largest gain: the plan is a vertex, found without iterating towards it.
    """
    p, q = gains.shape
    if p == q:
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - a second, which no query should cost

        rows, columns = linear_sum_assignment(gains, maximize=True)
        return float(gains[rows, columns].mean())
    costs = np.ascontiguousarray(gains.max() - gains)
    plan, told = _network_simplex()(
        np.full(p, 1.0 / p), np.full(q, 1.0 / q), costs, numItermax=MOST_PIVOTS, log=True
    )
    if told["warning"] is not None:
        raise UndefinedIndexError(
            status="not_converged",
            where=index,
            expected=f"a best plan within {MOST_PIVOTS} pivots",
            found=f"none for {p} × {q} features",
            remedy="Compare narrower layers.",
        )
    return float(np.vdot(plan, gains))


@cache
def _network_simplex() -> Callable[..., Any]:
    """Return POT's solver, which is imported when it is first needed.

    POT imports every array library that is installed, to accept its arrays. It is handed NumPy's, and a worker that did
    not ask for torch should not wait for it: what is not loaded yet is kept out by the variables that POT has for that.
    """
    kept_out = {
        f"POT_BACKEND_DISABLE_{name}"
        for module, name in _ARRAY_LIBRARIES.items()
        if module not in sys.modules
    } - os.environ.keys()
    os.environ.update(dict.fromkeys(kept_out, "1"))
    try:
        from ot import emd  # noqa: PLC0415 - a second of imports, for one index
    finally:
        for name in kept_out:
            del os.environ[name]
    solver: Callable[..., Any] = emd
    return solver
