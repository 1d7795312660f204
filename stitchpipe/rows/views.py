"""From a representation to rows × features: the view and the grid.

A *view* says what a row is; a *grid* says at which spatial resolution. Both are part of every result's key:
the same index under another view, or at another resolution, is another number.

A grid is ``(H, W)`` of images, ``(k, H, W)`` of tokens: k that stand for no place (class tokens, registers) before
those of H·W patches in row-major order; ``()`` where positions are gone.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from stitchpipe.errors import ExplainedError
from stitchpipe.rows.resizing import Grid, n_positions, resize_maps, resized

if TYPE_CHECKING:
    from collections.abc import Sequence

View: TypeAlias = Literal["positions", "pooled", "flatten"]
Float64: TypeAlias = npt.NDArray[np.float64]

VIEWS: tuple[View, ...] = get_args(View)


class ViewError(ExplainedError, ValueError):
    """A representation cannot be turned into rows the way that was asked for."""


def grid_of(shape: tuple[int, ...], tokens: Grid | None = None) -> Grid:
    """Return one sample's grid: ``(H, W)`` of ``(C, H, W)``, ``(k, H, W)`` of ``(T, D)``, ``()`` of ``(D,)``.

    `tokens` is the grid of ``(T, D)`` where it is known; otherwise patches are taken to be those of a square.
    """
    match shape:
        case (_, height, width):
            return (height, width)
        case (count, _):
            return token_grid(count) if tokens is None else tokens
        case (_,):
            return ()
        case _:
            raise ViewError(
                where="representation",
                expected="samples of shape (C, H, W), (T, D) or (D,)",
                found=f"shape {shape}",
                remedy="Reshape the layer's output to one of these before it is stored.",
            )


def token_grid(count: int, image: tuple[int, int] = (1, 1)) -> Grid:
    """Return ``(k, h, w)`` of `count` tokens of an image ``(H, W)``: the largest h·w ≤ `count` with h/w = H/W.

    The k tokens that are left over come first, as class tokens and registers do. Where no grid has the image's
    proportions exactly, the square one is returned.
    """
    height, width = image
    # h = m·H/g and w = m·W/g for the largest m with h·w ≤ count
    divisor = np.gcd(height, width)
    rows, columns = int(height // divisor), int(width // divisor)
    times = isqrt(count // (rows * columns))
    if times == 0:
        rows, columns, times = 1, 1, isqrt(count)
    return count - rows * columns * times**2, rows * times, columns * times


def layer_grid(shape: tuple[int, ...], image: Sequence[int] | None) -> Grid:
    """Return the grid of one sample of a layer; patches of tokens have the proportions of the image ``(H, W)``.

    None stands for an image whose size is not known.
    """
    tokens = token_grid(shape[0], (image[0], image[1])) if image and len(shape) == 2 else None
    return grid_of(shape, tokens)


def width_of(shape: tuple[int, ...], view: View) -> int:
    """Return the number of features p of a sample of `shape` under `view`: of ``flatten``, all of its values."""
    if view == "flatten":
        return int(np.prod(shape, dtype=np.int64))
    return shape[0] if len(shape) == 3 else shape[-1]


def rows_per_sample(view: View, grid: Grid) -> int:
    """Return how many rows one sample gives: its positions under ``positions``, otherwise 1."""
    return n_positions(grid) if view == "positions" else 1


def result_grid(view: View, target_shape: tuple[int, ...]) -> Grid:
    """Return the grid a comparison into `target_shape` is made on: the target's, or ``()`` where rows are images.

    Only rows that are positions must agree between two layers. Pooled and flattened layers keep their own rows
    whatever they are compared with, so that their widths may differ.
    """
    return grid_of(target_shape) if view == "positions" else ()


def grid_label(grid: Grid) -> str:
    """Return the grid as it stands in results: ``"8x8"``, ``"1+8x8"`` of tokens, ``"1x1"`` without positions."""
    if not grid:
        return "1x1"
    patches = "x".join(map(str, grid[-2:]))
    return f"{grid[0]}+{patches}" if len(grid) == 3 else patches


def to_rows(
    block: npt.NDArray[np.floating], view: View, grid: Grid | None = None, *, tokens: Grid | None = None
) -> Float64:
    """Turn a block of samples into rows × features in float64.

    Parameters
    ----------
    block
        ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``.
    view
        ``positions``: every spatial position (or token) is a row; ``pooled``: the mean over positions;
        ``flatten``: all positions side by side, features first, at the layer's own resolution.
    grid
        ``positions`` only: what the positions are resized to before rows are formed, see
        `stitchpipe.rows.resize_maps`. Default: the block's own grid. Vectors cannot be resized.
    tokens
        The block's own grid, where it is of tokens and their patches are not those of a square.

    Returns
    -------
    ndarray
        ``(n · rows_per_sample, width)``, rows of one sample adjacent, positions in row-major order.

    Raises
    ------
    ViewError
        The block has no such view, or cannot be put on `grid`.

    Notes
    -----
    Time O(n·C·(H·W)·(H'·W')) for a resize, otherwise one copy. Resizing is linear, and is done in float64.
    """
    native = grid_of(block.shape[1:], tokens)
    by_feature = _by_feature(block, native)
    if view == "pooled":
        return np.asarray(by_feature.mean(axis=2, dtype=np.float64))
    if view == "flatten":
        return np.asarray(by_feature, dtype=np.float64).reshape(len(block), -1)
    if grid is not None and grid != native:
        _demand_positions(block, native, grid)
        by_feature = resized(np.asarray(by_feature, dtype=np.float64), resize_maps(native, grid), native)
    return np.asarray(by_feature.swapaxes(1, 2), dtype=np.float64).reshape(-1, by_feature.shape[1])


def _by_feature(block: npt.NDArray[np.floating], native: Grid) -> npt.NDArray[np.floating]:
    """Return ``(n, features, positions)``."""
    features = np.moveaxis(block, -1, 1) if len(native) == 3 else block
    return features.reshape(len(block), features.shape[1], prod(features.shape[2:]))


def _demand_positions(block: npt.NDArray[np.floating], native: Grid, grid: Grid) -> None:
    if not native or not grid:
        raise ViewError(
            where=f"samples of shape {block.shape[1:]}",
            expected=f"a layer that can be put on the grid {grid_label(grid)}",
            found=f"grid {grid_label(native)}",
            remedy="Vectors have no positions; compare these layers under the view 'pooled'.",
        )
