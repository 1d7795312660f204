"""Bilinear resizing as a linear map of positions: half-pixel centres, no antialiasing, tokens included.

Between grids ``(H, W)`` the map is U = U_h ⊗ U_w, one matrix per axis. Where tokens take part it is one dense
matrix: patches are resized like an image; a token without a place is handed on from the source's where it has as many,
and is otherwise the mean over the source's patches; a target without such tokens drops the source's. All rows of U
sum to 1, so that constants stay what they are.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Grid: TypeAlias = tuple[int, ...]
"""``(H, W)``; ``(k, H, W)`` with k tokens that stand for no place before H·W others; ``()`` without positions."""
Maps: TypeAlias = tuple[Float64, ...]
"""A linear map of positions: ``[H', H]`` and ``[W', W]``, or one dense ``[positions', positions]``."""


def n_positions(grid: Grid) -> int:
    """Return the number of positions of a grid; 1 of none."""
    return grid[0] + grid[1] * grid[2] if len(grid) == 3 else prod(grid)


def axes_of(grid: Grid) -> tuple[int, ...]:
    """Return how positions lie in memory: ``(H, W)``, or ``(T,)`` of tokens."""
    return (n_positions(grid),) if len(grid) == 3 else grid


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


def resize_maps(grid: Grid, to: Grid) -> Maps:
    """Return the map U from one grid with positions to another."""
    if len(grid) == len(to) == 2:
        return interpolation(grid[0], to[0]), interpolation(grid[1], to[1])
    return (_of_tokens(grid, to),)


@lru_cache(maxsize=64)
def _of_tokens(grid: Grid, to: Grid) -> Float64:
    """Return U ``[positions', positions]`` where either side has tokens."""
    before, after = (side[0] if len(side) == 3 else 0 for side in (grid, to))
    patches = np.kron(interpolation(grid[-2], to[-2]), interpolation(grid[-1], to[-1]))
    matrix = np.zeros((after + len(patches), before + patches.shape[1]))
    matrix[after:, before:] = patches
    if before == after:
        matrix[:after, :before] = np.eye(after)
    else:
        matrix[:after, before:] = 1.0 / patches.shape[1]
    matrix.setflags(write=False)
    return matrix


def adjoint_maps(grid: Grid, to: Grid) -> Maps:
    """Return Uᵀ of the resize U from `to` to `grid`: it brings rows on `grid` down to `to`."""
    return tuple(matrix.T for matrix in resize_maps(to, grid))


@lru_cache(maxsize=1024)
def gram_root_maps(grid: Grid, to: Grid) -> Maps:
    """Return (UᵀU)^½ of the resize U from `grid` to `to`, symmetric: ‖(UᵀU)^½ s‖ = ‖U s‖ without leaving `grid`."""
    return tuple(_gram_root(matrix) for matrix in resize_maps(grid, to))


def _gram_root(matrix: Float64) -> Float64:
    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def position_weights(grid: Grid, to: Grid) -> Float64:
    """Return Uᵀ1 ``[positions]``: how much each position of `grid` counts in a sum over the resized ones."""
    first, *second = (matrix.sum(axis=0) for matrix in resize_maps(grid, to))
    return np.asarray(np.outer(first, second[0]).ravel() if second else first)


def resized(rows: Float64, maps: Maps, grid: Grid) -> Float64:
    """Return ``rows [n, p, positions]`` on `grid`, mapped: ``[n, p, positions']``."""
    if len(maps) == 1:
        return np.asarray(rows @ maps[0].T)
    high, wide = maps
    mapped = high @ rows.reshape(*rows.shape[:2], *grid) @ wide.T
    return np.asarray(mapped.reshape(*rows.shape[:2], -1))
