"""Products on NumPy arrays, added to float64 sums in place by BLAS."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas
from threadpoolctl import ThreadpoolController

from stitchpipe.algebra.backends.half import widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Rows: TypeAlias = npt.NDArray[np.floating]
Float64: TypeAlias = npt.NDArray[np.float64]

name = "numpy"
cached = 2**17

COPIED = 512
"""Columns of rows that are copied for a product at most, where they are part of wider ones."""
RUN = 1024
"""Positions that are summed in the rows' own precision at most, where they are not one line."""
_MIRRORED = 64
"""Rows that are mirrored at a time."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread for what is inside; about 20 µs."""
    with _pools().limit(limits=1, user_api="blas"):
        yield


@cache
def _pools() -> ThreadpoolController:
    """Return the thread pools of the libraries loaded above; looking for them takes 2 ms."""
    return ThreadpoolController()


def empty(shape: tuple[int, ...], dtype: str) -> Rows:
    """Return uninitialised rows of ``float64`` or ``float32``."""
    return np.empty(shape, dtype)


def zeros(shape: tuple[int, ...]) -> Float64:
    """Return float64 sums of nothing."""
    return np.zeros(shape)


def load(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return stored values as this library's array."""
    return stored


def fetch(values: Float64) -> Float64:
    """Return sums as a NumPy array."""
    return values


def join(parts: Sequence[Rows]) -> Rows:
    """Return rows of several operands, one behind the other along the first axis."""
    return np.concatenate(parts)


def fill(into: Rows, values: Rows, shift: Rows) -> None:
    """Set ``into [p, n, …]`` to ``values − shift``, both converted to its dtype first; values must be finite.

    `shift` is of features ``[p]``, or of features and positions ``[p, …]``.
    """
    if values.dtype != np.float16:
        into[...] = values
    elif into.dtype == np.float32:
        widen(values, into)
    else:
        # Narrow numbers are widened once more on their way: cheaper than wide ones by moving twice the bits.
        into[...] = widen(values, np.empty(values.shape, np.float32))
    by_position = shift.shape[1:] or [1] * (into.ndim - 2)
    into -= shift.astype(into.dtype).reshape(-1, 1, *by_position)


def resize(rows: Rows, maps: tuple[Float64, ...], into: Rows) -> None:
    """Set ``into [p, n, …]`` to ``rows [p, n, …]``, their positions mapped.

    By ``[H', H]`` and ``[W', W]`` from ``(H, W)`` to ``(H', W')``, or by one dense ``[positions', positions]``. The
    last axis is mapped by one product of each feature. Maps lie as they are read: small products are not packed.
    """
    *high, last = (np.ascontiguousarray(axis, rows.dtype) for axis in (*maps[:-1], maps[-1].T))
    for axis in high:
        rows = np.matmul(axis, rows)
    features = len(rows)
    flat = into.reshape(features, -1, last.shape[1])
    np.matmul(rows.reshape(features, -1, last.shape[0]), last, out=flat)


def sum_samples(rows: Rows) -> Float64:
    """Return ``rows [p, n, …]`` summed over samples, in their own precision; in float64."""
    samples = rows.shape[1]
    sums = np.ones(samples, rows.dtype) @ rows.reshape(len(rows), samples, -1)
    return np.asarray(sums.reshape(len(rows), *rows.shape[2:]), np.float64)


def mean_positions(rows: Rows) -> Float64:
    """Return ``rows [p, n, …]`` averaged over positions, `RUN` of them or a line in their own precision, ``[p, n]``."""
    features, samples, positions = *rows.shape[:2], prod(rows.shape[2:])
    run = positions if positions <= RUN else rows.shape[-1]
    lines = rows.reshape(features, -1, run) @ np.ones(run, rows.dtype)
    return np.asarray(lines.reshape(features, samples, -1).sum(axis=2, dtype=np.float64) / positions)


def squared_norms(rows: Rows) -> Float64:
    """Return Σₚ rows² of ``rows [p, n]`` in float64, ``[n]``."""
    return np.asarray(np.einsum("pn,pn->n", rows, rows, dtype=np.float64))


def add_product(total: Float64, x: Rows, y: Rows) -> None:
    """Add ``x [p, K] · yᵀ [K, q]`` to ``total [p, q]``; float32 rows are multiplied in float32.

    2·p·q·K flops. The sum itself never leaves float64.
    """
    if x.dtype == np.float32:
        total += x @ y.T
        return
    for piece in _pieces(x):
        # BLAS is column-major: it sees the transposes of these row-major arrays.
        done = blas.dgemm(1.0, y[:, piece].T, x[:, piece].T, beta=1.0, c=total.T, trans_a=1, overwrite_c=1)
        _demand_in_place(done, total)


def add_symmetric(total: Float64, x: Rows) -> None:
    """Add ``x [p, K] · xᵀ`` to the upper triangle of ``total [p, p]``: p·(p + 1)·K flops.

    What stands below the diagonal means nothing until `mirror`.
    """
    if x.dtype == np.float32:
        total += x @ x.T  # NumPy calls the symmetric product itself
        return
    for piece in _pieces(x):
        done = blas.dsyrk(1.0, x[:, piece].T, beta=1.0, c=total.T, trans=1, lower=1, overwrite_c=1)
        _demand_in_place(done, total)


def mirror(total: Float64) -> None:
    """Copy the upper triangle of ``total [p, p]`` to the lower one. Memory O(p)."""
    for start in range(0, len(total), _MIRRORED):
        stop = min(start + _MIRRORED, len(total))
        total[stop:, start:stop] = total[start:stop, stop:].T
        square = total[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T


def _pieces(rows: Rows) -> Iterator[slice]:
    """Yield all of the columns of ``rows [p, K]``, a few at a time where they would be copied for BLAS."""
    step = max(rows.shape[1], 1) if rows.flags.c_contiguous else COPIED
    yield from (slice(start, start + step) for start in range(0, rows.shape[1], step))


def _demand_in_place(done: Float64, total: Float64) -> None:
    """Refuse a sum that BLAS put elsewhere: it would be lost."""
    if not np.shares_memory(done, total):
        raise ValueError("sums must be row-major float64: BLAS would add to a copy")
