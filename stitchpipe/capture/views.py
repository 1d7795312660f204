"""What is kept of a layer that is too large to keep: its mean over positions, or a sample of the positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

ViewName: TypeAlias = Literal["full", "pooled", "positions"]


@dataclass(frozen=True, slots=True)
class StoredView:
    """Which values of a layer a dump keeps; part of its identity.

    Parameters
    ----------
    name
        ``full``: all. ``pooled``: the mean over positions or tokens, ``(C,)``. ``positions``: `count` of the positions,
        ``(count, C)``: the cells that hold `count` random points of the unit square, the same points for every layer,
        so that position k of one layer lies where position k of another does, whatever their grids.
    count, seed
        Of the points, drawn uniformly by NumPy's PCG64 from `seed`. Layers with fewer positions repeat some.
    """

    name: ViewName = "full"
    count: int = 16
    seed: int = 0

    def identity(self) -> Mapping[str, Any] | None:
        """Return what stands in a dump's identity; None for all values."""
        if self.name == "full":
            return None
        return {"view": "pooled"} if self.name == "pooled" else {"view": self.name, **self._draw()}

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the stored shape of a sample of ``(C, H, W)``, ``(T, D)`` or ``(D,)``."""
        if self.name == "full" or len(shape) == 1:
            return shape
        features = shape[0] if len(shape) == 3 else shape[-1]
        return (features,) if self.name == "pooled" else (self.count, features)

    def apply(self, values: Tensor) -> Tensor:
        """Return what is kept of ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``; dense layers are kept whole.

        Means are formed in float32.
        """
        if self.name == "full" or values.ndim == 2:
            return values
        # Images come with channels first, tokens with features last. From here on a row is a position in
        # both.
        by_position = values.flatten(2).transpose(1, 2) if values.ndim == 4 else values
        if self.name == "pooled":
            return by_position.float().mean(dim=1)
        cells = torch.from_numpy(self.cells(tuple(values.shape[1:]))).to(values.device)
        return by_position[:, cells].contiguous()

    def cells(self, shape: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the positions, row by row, that hold the points: ``[count]``."""
        # The points are drawn in the unit square and not on the grid, so that layers of different
        # resolution keep corresponding places.
        points = np.random.default_rng(self.seed).random((self.count, 2))
        if len(shape) == 3:
            rows, columns = (np.floor(points * shape[1:]).astype(np.int64)).T
            return np.asarray(rows * shape[2] + columns)
        # Tokens of a square image, row by row behind those that stand for no place (a class token).
        side = math.isqrt(shape[0])
        rows, columns = np.floor(points * side).astype(np.int64).T
        return np.asarray(shape[0] - side * side + rows * side + columns)

    def _draw(self) -> dict[str, int]:
        return {"count": self.count, "seed": self.seed}
