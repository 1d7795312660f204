"""Rows held in memory, centred: what products are formed of, each when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import frexp
from typing import get_args

import numpy as np

from stitchpipe.algebra.errors import RowsError
from stitchpipe.algebra.inputs import Array, Products, demand_finite, demand_paired, namespace, real_rows
from stitchpipe.algebra.moments.checks import finite
from stitchpipe.algebra.moments.own import Moments
from stitchpipe.algebra.moments.triangle import triangle
from stitchpipe.algebra.spectrum import Neurons

_BLOCK_ROWS = 8192
"""So many float32 products are summed up in float32: their rounding is then some 1e-7 of each entry's size."""
_SQUARABLE = 2.0**-60, 2.0**60
"""Mean squares of float32 entries whose products neither overflow nor vanish."""


@dataclass(frozen=True, eq=False)
class CentredRows:
    """One representation as centred rows: the mean is had in float64, products in the type that was asked for.

    Attributes
    ----------
    mean
        ``[p]`` float64.
    centred
        ``[n, p]``: the rows are ``mean + unit·centred``.
    unit
        A power of two: 1.0, but for float32 whose squares would not fit.
    neurons
        What the columns are coordinates of; None where they are the neurons themselves.
    """

    mean: Array
    centred: Array
    unit: float = 1.0
    neurons: Neurons | None = None

    @classmethod
    def of(cls, rows: Array, name: str = "rows", *, products: Products = "float64") -> CentredRows:
        """Centre ``rows [n, p]``. Time and memory O(n·p).

        `products` is the type in which they will be multiplied: sums of products are float64 in either case.

        Raises
        ------
        RowsError
            As `as_rows`, and for products of no such type.
        """
        if products not in get_args(Products):
            raise RowsError(
                where="products",
                expected=" or ".join(map(repr, get_args(Products))),
                found=repr(products),
                remedy="Choose one of these; the type of the rows themselves does not matter.",
            )
        rows = real_rows(rows, name)
        xp = namespace(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = xp.sum(rows, axis=0, dtype=xp.float64) / rows.shape[0]
        # Whatever is not finite in the rows is not finite in their sum, which is needed anyway.
        if not bool(xp.all(xp.isfinite(mean))):
            demand_finite(rows, name)
        # Wide rows are narrowed first, and there is little left to multiply.
        if products == "float32" and not _wide(*rows.shape):
            return _single(rows, mean)
        return cls(*_double(rows, mean))

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.centred.shape[0])

    @property
    def width(self) -> int:
        """How many neurons the rows are of, in however many coordinates they are held."""
        return int((self.mean if self.neurons is None else self.neurons.mean).shape[0])

    @cached_property
    def squared_norms(self) -> Array:
        """kᵢ = ‖x̃ᵢ‖² ``[n]``, float64."""
        xp = namespace(self.centred)
        norms = xp.linalg.vecdot(self.centred, self.centred)
        return xp.astype(norms, xp.float64, copy=False) * self.unit**2

    @cached_property
    def total(self) -> float:
        """Σ‖x̃ᵢ‖²."""
        return float(namespace(self.centred).sum(self.squared_norms))

    @cached_property
    def moments(self) -> Moments:
        """Count, mean and centred sums of products. Time O(n·p²). Raises MomentsError where they overflow."""
        comoment = finite(_product(self.centred, self.centred, self.unit**2))
        return Moments(self.n, self.mean, comoment, self.neurons)

    def cross(self, other: CentredRows) -> Array:
        """Return Σ x̃ỹᵀ ``[p, q]``. Time O(n·p·q), none with itself. Raises MomentsError where it overflows."""
        if other is self:
            return self.moments.comoment
        return finite(_product(self.centred, other.centred, self.unit * other.unit))

    def narrowed(self) -> CentredRows:
        """Return the rows in n + 1 coordinates where they are wider than that, else as they are.

        Inner products of rows do not change, the mean's included, so that every index that is invariant to rotation is
        the same number; what belongs to neurons is had from `neurons`. Time O(n²·p), memory O(n·p): by a triangular
        factor, which does not square their condition.
        """
        if self.neurons is not None or not _wide(self.n, self.width):
            return self
        # [μ, X̃ᵀ] = BR: the columns of R are the mean, which comes first and is a multiple of the first direction, and
        # the rows in the basis B.
        factor = triangle(namespace(self.centred).concat([self.mean[None, :], self.centred]).T)
        coordinates = factor[:, 1:].T
        return CentredRows(factor[:, 0], coordinates, neurons=Neurons(self.mean, self.centred, coordinates))


def centred_pair(X: Array, Y: Array, *, products: Products = "float64") -> tuple[CentredRows, CentredRows]:
    """Return paired rows ``X [n, p]``, ``Y [n, q]``, centred and narrowed. Raises RowsError.

    Where rows are wider than n + 1 they are multiplied in float64, in as many coordinates.
    """
    x = CentredRows.of(X, "X", products=products)
    y = x if Y is X else CentredRows.of(Y, "Y", products=products)
    demand_paired(x.centred, y.centred)
    return x.narrowed(), y.narrowed()


def _wide(n: int, p: int) -> bool:
    """Return whether rows with their mean are held in fewer coordinates than there are neurons."""
    return p > n + 1


def _double(rows: Array, mean: Array) -> tuple[Array, Array]:
    """Return the mean and the centred rows in float64."""
    xp = namespace(rows)
    if rows.dtype != xp.float64:
        # The sum of up to 2²⁹ equal float32 values is exact in float64, and so is their mean.
        centred = xp.astype(rows, xp.float64)
        centred -= mean[None, :]
        return mean, centred
    centred = rows - mean[None, :]
    # The first mean is off by its rounding. The mean of what is left over takes that away, and leaves exactly zero of
    # columns that are constant.
    rounding = xp.mean(centred, axis=0)
    centred -= rounding[None, :]
    return mean + rounding, centred


def _single(rows: Array, mean: Array) -> CentredRows:
    """Return the rows centred and in float32, scaled where their squares would not fit."""
    xp = namespace(rows)
    if rows.dtype == xp.float32:
        near = xp.astype(mean, xp.float32)
        centred = CentredRows(mean, rows - near[None, :])
        off = float(xp.max(xp.abs(mean - xp.astype(near, xp.float64))))
        spread = _mean_square(centred)
        # The mean as float32 will do, unless it is so large that its rounding shows beside the spread.
        if _SQUARABLE[0] < spread < _SQUARABLE[1] and off**2 <= 1e-12 * spread:
            return centred
    exact = CentredRows(*_double(rows, mean))
    unit = 1.0
    if not _SQUARABLE[0] < _mean_square(exact) < _SQUARABLE[1]:
        largest = float(xp.max(xp.abs(exact.centred)))
        unit = 2.0 ** frexp(largest)[1] if largest else 1.0
    return CentredRows(exact.mean, xp.astype(exact.centred / unit, xp.float32), unit)


def _mean_square(rows: CentredRows) -> float:
    """Return the mean square of the entries, infinite where that does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        return rows.total / (rows.n * rows.width)


def _product(left: Array, right: Array, unit: float) -> Array:
    """Return ``unit·leftᵀ·right`` as a float64 matrix; float32 products are summed in float32 by a block of rows."""
    xp = namespace(left, right)
    if left.dtype == right.dtype == xp.float32:
        blocks = [slice(first, first + _BLOCK_ROWS) for first in range(0, left.shape[0], _BLOCK_ROWS)]
        total = xp.astype(left[blocks[0]].T @ right[blocks[0]], xp.float64)
        for block in blocks[1:]:
            total += left[block].T @ right[block]
    else:
        total = xp.astype(left, xp.float64, copy=False).T @ xp.astype(right, xp.float64, copy=False)
    if unit != 1.0:
        total *= unit
    return total
