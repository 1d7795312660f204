"""Bilinear resizing as a linear map: one matrix per axis, half-pixel centres, no antialiasing."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Axes: TypeAlias = tuple[Float64, Float64]


@lru_cache(maxsize=1024)
def interpolation(size: int, to_size: int) -> Float64:
    """Return linear interpolation of one axis, ``(to_size, size)``: half-pixel centres, edges repeated."""
    centre = np.clip((np.arange(to_size) + 0.5) * (size / to_size) - 0.5, 0.0, None)
    low = np.minimum(np.floor(centre).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    weight = centre - low
    matrix = np.zeros((to_size, size))
    rows = np.arange(to_size)
    np.add.at(matrix, (rows, low), 1.0 - weight)
    np.add.at(matrix, (rows, high), weight)
    matrix.setflags(write=False)
    return matrix


def resize_axes(grid: tuple[int, ...], to: tuple[int, ...]) -> Axes:
    """Return U by axis, from ``(H, W)`` to ``(H', W')``: U = U_h ⊗ U_w."""
    return interpolation(grid[0], to[0]), interpolation(grid[1], to[1])


def adjoint_axes(grid: tuple[int, ...], to: tuple[int, ...]) -> Axes:
    """Return Uᵀ by axis, of the resize U from ``to`` to ``grid``: it brings rows on ``grid`` down to ``to``."""
    high, wide = resize_axes(to, grid)
    return high.T, wide.T


@lru_cache(maxsize=1024)
def gram_root(size: int, to_size: int) -> Float64:
    """Return (UᵀU)^½ of one axis, symmetric ``(size, size)``: ‖(UᵀU)^½ s‖ = ‖U s‖ without leaving the axis."""
    matrix = interpolation(size, to_size)
    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def gram_root_axes(grid: tuple[int, ...], to: tuple[int, ...]) -> Axes:
    """Return (UᵀU)^½ by axis, of the resize U from `grid` to `to`."""
    return gram_root(grid[0], to[0]), gram_root(grid[1], to[1])


def position_weights(grid: tuple[int, ...], to: tuple[int, ...]) -> Float64:
    """Return Uᵀ1 over `grid`: how much each position counts in a sum over the resized ones."""
    high, wide = resize_axes(grid, to)
    return np.outer(high.sum(axis=0), wide.sum(axis=0))
