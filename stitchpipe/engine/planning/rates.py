"""How fast this machine multiplies, decomposes and reads: what a plan's bound is made of. Takes about a second."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.backends import numpy_backend
from storage import Address, LayerSpec, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.planning.memory import Precision

WIDTH, ROWS = 512, 2048
DECOMPOSED = 256
READ_SAMPLES, READ_SHAPE = 512, (64, 16, 16)
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one thread.

    Attributes
    ----------
    flops_per_s
        Of the product of two blocks of rows.
    finalisation_flops_per_s
        Of a singular value decomposition, counted as the plan counts it: 40·p³.
    read_bytes_per_s
        Of stored bytes before compression, checked and decoded, from a disk that has them in its cache.
    """

    flops_per_s: float
    finalisation_flops_per_s: float
    read_bytes_per_s: float


def measured_rates(precision: Precision, backend: Backend = numpy_backend) -> Rates:
    """Return this machine's rates, the best of a few trials of each. Writes 16 MiB to a temporary folder."""
    with threadpool_limits(limits=1), backend.one_thread():
        return Rates(
            2 * WIDTH * WIDTH * ROWS / _best(_product(precision, backend)),
            40 * DECOMPOSED**3 / _best(_decomposition()),
            _read_rate(),
        )


def _best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some trials."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _product(precision: Precision, backend: Backend) -> Callable[[], object]:
    """Return a product as the engine forms it; the corner that is fetched waits for a GPU to finish."""
    rows = backend.load(np.random.default_rng(0).standard_normal((WIDTH, ROWS)).astype(precision))
    total = backend.zeros((WIDTH, WIDTH))

    def multiply() -> object:
        backend.add_product(total, rows, rows)
        return backend.fetch(total[:1, :1])

    return multiply


def _decomposition() -> Callable[[], object]:
    matrix = np.random.default_rng(0).standard_normal((DECOMPOSED, DECOMPOSED))
    return lambda: np.linalg.svd(matrix)


def _read_rate() -> float:
    """Return the rate at which a shard of rectified noise is read back."""
    values = np.random.default_rng(0).standard_normal((READ_SAMPLES, *READ_SHAPE)).astype(np.float16)
    values[values < 0] = 0
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "rate.zarr", mode="a")
        store.add_split("rate", "all", [str(number) for number in range(READ_SAMPLES)], row_groups=1)
        dump = store.begin_dump(
            dataset="rate",
            split="all",
            model="rate",
            layers={"rate": LayerSpec(READ_SHAPE, dtype="float16")},
            identity={"weights": ""},
            provenance={},
        )
        dump.write(0, {"rate": values})
        dump.seal()
        reader = store.representation(Address("rate", "all", "rate", "rate"))
        return values.nbytes / _best(lambda: reader.read(0))
