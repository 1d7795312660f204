"""From a representation to rows × features: the view and the grid.

A *view* says what a row is; a *grid* says at which spatial resolution. Both are part of every result's key:
the same index under another view, or at another resolution, is another number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from stitchpipe.errors import ExplainedError
from stitchpipe.resizing import resize_axes

View: TypeAlias = Literal["positions", "pooled", "flatten"]
Grid: TypeAlias = tuple[int, ...]
Float64: TypeAlias = npt.NDArray[np.float64]

VIEWS: tuple[View, ...] = get_args(View)


class ViewError(ExplainedError, ValueError):
    """A representation cannot be turned into rows the way that was asked for."""


def grid_of(shape: tuple[int, ...]) -> Grid:
    """Return one sample's grid: ``(H, W)`` of ``(C, H, W)``, ``(T,)`` of ``(T, D)``, ``()`` of ``(D,)``."""
    match shape:
        case (_, height, width):
            return (height, width)
        case (tokens, _):
            return (tokens,)
        case (_,):
            return ()
        case _:
            raise ViewError(
                where="representation",
                expected="samples of shape (C, H, W), (T, D) or (D,)",
                found=f"shape {shape}",
                remedy="Reshape the layer's output to one of these before it is stored.",
            )


def width_of(shape: tuple[int, ...], view: View) -> int:
    """Return the number of features p of a sample of `shape` under `view`: of ``flatten``, all of its values."""
    if view == "flatten":
        return int(np.prod(shape, dtype=np.int64))
    return shape[0] if len(shape) == 3 else shape[-1]


def rows_per_sample(view: View, grid: Grid) -> int:
    """Return how many rows one sample gives: H·W or T under ``positions``, otherwise 1."""
    return int(np.prod(grid, dtype=np.int64)) if view == "positions" else 1


def result_grid(view: View, target_shape: tuple[int, ...]) -> Grid:
    """Return the grid a comparison into `target_shape` is made on: the target's, or ``()`` where rows are images.

    Only rows that are positions must agree between two layers. Pooled and flattened layers keep their own rows
    whatever they are compared with, so that their widths may differ.
    """
    return grid_of(target_shape) if view == "positions" else ()


def grid_label(grid: Grid) -> str:
    """Return the grid as it stands in results: ``"8x8"``, ``"65"``, or ``"1x1"`` where positions are gone."""
    return "x".join(map(str, grid)) if grid else "1x1"


def to_rows(block: npt.NDArray[np.floating], view: View, grid: Grid | None = None) -> Float64:
    """Turn a block of samples into rows × features in float64.

    Parameters
    ----------
    block
        ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``.
    view
        ``positions``: every spatial position (or token) is a row; ``pooled``: the mean over positions;
        ``flatten``: all positions side by side, features first, at the layer's own resolution.
    grid
        ``positions`` only: where ``(n, C, H, W)`` is bilinearly resized to before rows are formed. Default: the
        block's own grid. Tokens cannot be resized.

    Returns
    -------
    ndarray
        ``(n · rows_per_sample, width)``, rows of one sample adjacent, positions in row-major order.

    Raises
    ------
    ViewError
        The block has no such view, or its tokens do not match `grid`.

    Notes
    -----
    Time O(n·C·(H·W)·(H'·W')) for a resize, otherwise one copy. Resizing is linear, and is done in float64.
    """
    native = grid_of(block.shape[1:])
    if view == "pooled":
        axes = (2, 3) if block.ndim == 4 else (1,) if block.ndim == 3 else ()
        return np.asarray(block.mean(axis=axes, dtype=np.float64) if axes else block, dtype=np.float64)
    if view == "flatten":
        return np.ascontiguousarray(_by_position(block, native, native).swapaxes(1, 2)).reshape(
            len(block), -1
        )
    by_position = _by_position(block, native, native if grid is None else grid)
    return by_position.reshape(-1, by_position.shape[-1])


def _by_position(block: npt.NDArray[np.floating], native: Grid, grid: Grid) -> Float64:
    """Return ``(n, positions, features)`` in float64, resized to `grid`."""
    if block.ndim == 4:
        last = np.moveaxis(block, 1, 3).reshape(len(block), -1, block.shape[1]).astype(np.float64)
        if grid == native:
            return last
        if len(grid) == 2:
            return np.asarray(_bilinear(native, grid) @ last)
    elif grid == native:
        return block.reshape(len(block), -1, block.shape[-1]).astype(np.float64)
    raise ViewError(
        where=f"samples of shape {block.shape[1:]}",
        expected=f"a layer that can be put on the grid {grid_label(grid)}",
        found=f"grid {grid_label(native)}",
        remedy="Only images (C, H, W) are resized; compare these layers under the view 'pooled'.",
    )


@lru_cache(maxsize=256)
def _bilinear(native: Grid, grid: Grid) -> Float64:
    """Return the bilinear resize as a matrix ``(H'·W', H·W)``."""
    return np.asarray(np.kron(*resize_axes(native, grid)), dtype=np.float64)
