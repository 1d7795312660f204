"""From layers to models: how well the layers of one model find a match in another, and a large map in coarse cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.report.matrices import boundaries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stitchpipe.report.matrices import Layer, Matrix

COARSE: Final = 400
"""Rows and columns of a coarse map, at most."""


def of_models(matrix: Matrix, axis: Sequence[Layer]) -> npt.NDArray[np.float64]:
    """Return how similar models are: for each layer of the source its best match in the target, and the mean of those.

    A layer is no match of itself. ``(models, models)`` in the order of the axis, NaN where nothing was measured.
    Time O(layers²).
    """
    starts = [0, *boundaries(axis)]
    sign = 1.0 if matrix.larger_is_more_similar else -1.0
    values = sign * matrix.values
    np.fill_diagonal(values, np.nan)
    is_known = np.isfinite(values)
    best = np.maximum.reduceat(np.where(is_known, values, -np.inf), starts, axis=1)
    has_best = np.isfinite(best)
    total = np.add.reduceat(np.where(has_best, best, 0.0), starts, axis=0)
    count = np.add.reduceat(has_best.astype(np.int64), starts, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sign * total / np.where(count, count, np.nan))


def coarse(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], int]:
    """Return means over squares of cells, as few to a square as `COARSE` allows, and the side of a square."""
    n = len(values)
    side = -(-n // COARSE)
    starts = np.arange(0, n, side)
    is_known = np.isfinite(values)
    total, count = np.where(is_known, values, 0.0), is_known.astype(np.float64)
    for axis in (0, 1):
        total, count = (np.add.reduceat(part, starts, axis=axis) for part in (total, count))
    means: npt.NDArray[Any] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means, side
