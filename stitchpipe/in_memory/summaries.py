"""Representations held in memory as rows, each summarised once on every grid it is compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra import (
    CrossMoments,
    Moments,
    PairMoments,
    augment,
    pair_from_augmented,
)
from stitchpipe.in_memory.samples import InMemory
from stitchpipe.rows import View, ViewError, grid_of, result_grid, to_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.in_memory.samples import Samples
    from stitchpipe.rows import Grid

Label: TypeAlias = View | Literal["as_given"]
"""A view, or ``as_given`` for matrices whose rows are taken as they are."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """One representation as rows on one grid, augmented by their squared norm, and its own moments."""

    augmented: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    moments: Moments


class ArraySummaries:
    """Own moments of each representation on each grid, formed once, and pairs assembled from them.

    Attributes
    ----------
    samples
        Name → finite floating-point array ``[n, …]``, row i of each being the same sample.
    spacing
        Name → spacing at 1 of the type in which the array was handed over: how exactly its rows are known.
    view
        The same for all.
    """

    def __init__(self, arrays: Mapping[str, Any], view: View | None, *, where: str) -> None:
        held = InMemory.of(arrays, where)
        self.samples, self.spacing = held.samples, held.spacing
        self.view = _view_label(self.samples, view)
        self._rows: dict[tuple[str, Grid], _Rows] = {}

    def grid(self, target: str) -> Grid:
        """Return the grid on which a comparison into `target` is made."""
        return () if self.view == "as_given" else result_grid(self.view, self.samples[target].shape[1:])

    def pair(self, source: str, target: str) -> PairMoments:
        """Return the moments of an ordered pair: one product, and none for a representation with itself."""
        grid = self.grid(target)
        x, y = self._on_grid(source, grid), self._on_grid(target, grid)
        own = x.moments
        # The cross moments of a representation with itself are its own moments, which are there already.
        if x is y:
            cross = CrossMoments(own.n, own.mean, own.mean, own.comoment)
        else:
            cross = CrossMoments.from_block(x.augmented, y.augmented)
        return pair_from_augmented(x.moments, y.moments, cross, shift_x=x.shift, shift_y=y.shift)

    def _on_grid(self, name: str, grid: Grid) -> _Rows:
        if (name, grid) not in self._rows:
            block = self.samples[name]
            rows = block.astype(np.float64) if self.view == "as_given" else to_rows(block, self.view, grid)
            # All rows are at hand, so the squared norms are appended about the mean itself, where they lose
            # the fewest digits.
            shift = rows.mean(axis=0)
            augmented = augment(rows, shift)
            self._rows[name, grid] = _Rows(augmented, shift, Moments.from_block(augmented))
        return self._rows[name, grid]


def _view_label(samples: Mapping[str, Samples], view: View | None) -> Label:
    if view is not None:
        return view
    spatial = [name for name, block in samples.items() if grid_of(block.shape[1:])]
    if not spatial:
        return "as_given"
    raise ViewError(
        where=f"representation {spatial[0]!r}",
        expected="a view, because its samples have positions",
        found=f"shape {samples[spatial[0]].shape} and no view",
        remedy="Pass view='pooled', 'positions' or 'flatten'; indices differ between them.",
    )
