"""What a caller may hand in: two-dimensional real arrays, NumPy or any other array-API library, finite."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import array_api_compat as api
import numpy as np

from stitchpipe.algebra.errors import RowsError

Array: TypeAlias = Any
"""An array of the array API standard: ``numpy.ndarray``, ``torch.Tensor``, …"""

Namespace: TypeAlias = Any

Products: TypeAlias = Literal["float64", "float32"]
"""The type in which rows are multiplied; sums of products are float64 with either."""


def namespace(*arrays: Array) -> Namespace:
    """Return the array-API namespace of `arrays`; refuse a mixture of libraries."""
    try:
        return api.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(array).__module__.split(".")[0] for array in arrays}))
        raise RowsError(
            where="arrays",
            expected="all arrays from one library",
            found=kinds,
            remedy="Convert one side, for example with numpy.asarray.",
        ) from error


def as_rows(rows: Array, name: str) -> Array:
    """Return `rows` as a finite float64 matrix ``(n, width)`` of its own library.

    Lists and data frames become NumPy arrays; a tensor that tracks gradients is detached.

    Raises
    ------
    RowsError
        Not two-dimensional, empty, not real numbers, or NaN or infinite somewhere.
    """
    array = real_rows(rows, name)
    array = namespace(array).astype(array, namespace(array).float64)
    demand_finite(array, name)
    return array


def real_rows(rows: Array, name: str) -> Array:
    """Return `rows` as a matrix ``(n, width)`` of real floating numbers, in float64 or in a shorter type of its own.

    They are not looked at: `demand_finite` does that. Raises RowsError as `as_rows` for all else.
    """
    array = rows if api.is_array_api_obj(rows) else np.asarray(rows)
    if api.is_torch_array(array):
        array = array.detach()
    xp = namespace(array)
    if array.ndim != 2 or 0 in array.shape:
        raise RowsError(
            where=name,
            expected="a matrix of shape (n, width), n ≥ 1, width ≥ 1",
            found=f"shape {tuple(array.shape)}",
            remedy="Reshape it; a single feature is a column, array.reshape(-1, 1).",
        )
    if not xp.isdtype(array.dtype, ("real floating", "integral", "bool")):
        raise RowsError(
            where=name,
            expected="real numbers",
            found=f"dtype {array.dtype}",
            remedy="Convert it to a floating-point dtype.",
        )
    # The half types are slow to compute with, and float32 holds each of their values. It does not hold all integers.
    short = xp.isdtype(array.dtype, "real floating") and xp.finfo(array.dtype).bits < 64
    return xp.astype(array, xp.float32 if short else xp.float64, copy=False)


def demand_finite(array: Array, name: str) -> None:
    """Raise RowsError where an entry is NaN or infinite."""
    xp = namespace(array)
    finite = int(xp.sum(xp.astype(xp.isfinite(array), xp.int64)))
    if finite != array.shape[0] * array.shape[1]:
        raise RowsError(
            where=name,
            expected="finite values",
            found=f"{array.shape[0] * array.shape[1] - finite} NaN or infinite entries",
            remedy="Find the layer and sample that produced them; they are never skipped.",
        )


def stored_spacing(*arrays: Array) -> float:
    """Return the coarsest spacing at 1 of the arrays' dtypes: 2⁻⁵² where none is below float64."""
    spacings = [2.0**-52]
    for given in arrays:
        array = given if api.is_array_api_obj(given) else np.asarray(given)
        xp = namespace(array)
        if xp.isdtype(array.dtype, "real floating"):
            spacings.append(float(xp.finfo(array.dtype).eps))
    return max(spacings)


def paired_rows(X: Array, Y: Array) -> tuple[Array, Array]:
    """Return both arguments as by `as_rows`, refusing different row counts, libraries or devices."""
    X, Y = as_rows(X, "X"), as_rows(Y, "Y")
    demand_paired(X, Y)
    return X, Y


def demand_paired(X: Array, Y: Array) -> None:
    """Raise RowsError for matrices with different row counts, of different libraries or on different devices."""
    namespace(X, Y)
    if X.shape[0] != Y.shape[0]:
        raise RowsError(
            where="X and Y",
            expected="the same number of rows, row i of X paired with row i of Y",
            found=f"{X.shape[0]} and {Y.shape[0]} rows",
            remedy="Compare representations of the same samples, in the same order and on the same grid.",
        )
    if api.device(X) != api.device(Y):
        raise RowsError(
            where="X and Y",
            expected="both on one device",
            found=f"{api.device(X)} and {api.device(Y)}",
            remedy="Move one of them.",
        )
