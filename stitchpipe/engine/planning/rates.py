"""How fast this machine multiplies, in one thread: the best of a few trials."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.planning.memory import Precision

WIDTH, ROWS = 512, 2048
REPEATS = 3


def product_rate(precision: Precision, backend: Backend) -> float:
    """Return the flops a second of the product of two blocks of rows; the backend's threads are limited already."""
    return 2 * WIDTH * WIDTH * ROWS / best_seconds(_product(precision, backend))


def best_seconds(
    work: Callable[[], object], *, most: float = 1.0, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of the fastest of some trials; no further one is begun after `most` seconds."""
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < most:
        begun = clock()
        work()
        seconds.append(clock() - begun)
    return min(seconds)


def _product(precision: Precision, backend: Backend) -> Callable[[], object]:
    """Return a product as the engine forms it; the corner that is fetched waits for a GPU to finish."""
    rows = backend.load(np.random.default_rng(0).standard_normal((WIDTH, ROWS)).astype(precision))
    total = backend.zeros((WIDTH, WIDTH))

    def multiply() -> object:
        backend.add_product(total, rows, rows)
        return backend.fetch(total[:1, :1])

    return multiply
