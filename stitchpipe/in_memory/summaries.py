"""Representations held in memory as rows: centred, narrowed and summarised once on every grid."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stitchpipe.algebra import CentredRows, PairMoments, in_coordinates_of
from stitchpipe.in_memory.samples import InMemory
from stitchpipe.rows import (
    View,
    ViewError,
    grid_of,
    result_grid,
    rows_per_sample,
    to_rows,
    width_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.algebra import Products
    from stitchpipe.in_memory.samples import Samples
    from stitchpipe.rows import Grid

Label: TypeAlias = View | Literal["as_given"]
"""A view, or ``as_given`` for matrices whose rows are taken as they are."""


class ArraySummaries:
    """The rows of each representation on each grid, and pairs assembled from them.

    Attributes
    ----------
    samples
        Name → finite floating-point array ``[n, …]``, row i of each being the same sample.
    spacing
        Name → spacing at 1 of the type in which the array was handed over: how exactly its rows are known.
    view
        The same for all.
    """

    def __init__(
        self, arrays: Mapping[str, Any], view: View | None, *, where: str, products: Products
    ) -> None:
        held = InMemory.of(arrays, where)
        self.samples, self.spacing = held.samples, held.spacing
        self.view = _view_label(self.samples, view)
        self._products = products
        self._neurons: dict[tuple[str, Grid], CentredRows] = {}
        self._narrowed: dict[tuple[str, Grid], CentredRows] = {}

    def grid(self, target: str) -> Grid:
        """Return the grid on which a comparison into `target` is made."""
        return () if self.view == "as_given" else result_grid(self.view, self.samples[target].shape[1:])

    def width(self, name: str) -> int:
        """Return how many features the rows of a representation have."""
        shape = self.samples[name].shape[1:]
        return int(shape[-1]) if self.view == "as_given" else width_of(shape, self.view)

    def n_rows(self, name: str, grid: Grid) -> int:
        """Return how many rows a representation has on a grid."""
        rows = 1 if self.view == "as_given" else rows_per_sample(self.view, grid)
        return len(self.samples[name]) * rows

    def of_samples(self, kept: npt.NDArray[np.int64]) -> ArraySummaries:
        """Return the same representations of some samples; nothing that was summarised is shared."""
        part = copy(self)
        part.samples = {name: block[kept] for name, block in self.samples.items()}
        part._neurons, part._narrowed = {}, {}  # noqa: SLF001 - of another object of this class
        return part

    def neurons(self, name: str, grid: Grid) -> CentredRows:
        """Return the centred rows of a representation on a grid, over its neurons."""
        if (name, grid) not in self._neurons:
            block = self.samples[name]
            rows = block if self.view == "as_given" else to_rows(block, self.view, grid)
            self._neurons[name, grid] = CentredRows.of(rows, name, products=self._products)
        return self._neurons[name, grid]

    def narrowed(self, name: str, grid: Grid) -> CentredRows:
        """Return the same in no more coordinates than there are rows and one."""
        if (name, grid) not in self._narrowed:
            self._narrowed[name, grid] = self.neurons(name, grid).narrowed()
        return self._narrowed[name, grid]

    def pair(self, source: str, target: str, *, narrowed: bool = True) -> PairMoments:
        """Return the moments of an ordered pair: one product, and none for a representation with itself."""
        grid, of = self.grid(target), self.narrowed if narrowed else self.neurons
        return PairMoments.of(of(source, grid), of(target, grid))


class HeldOutSummaries:
    """Rows that maps are scored on, in the coordinates of those that they are fitted on."""

    def __init__(self, scored: ArraySummaries, fitted_on: ArraySummaries) -> None:
        self._scored, self._fitted_on = scored, fitted_on
        self._rows: dict[tuple[str, Grid], tuple[CentredRows, CentredRows]] = {}

    def pairs(self, source: str, target: str) -> tuple[PairMoments, PairMoments]:
        """Return the moments of an ordered pair to fit on, and those to score."""
        grid = self._scored.grid(target)
        (fitted_x, scored_x), (fitted_y, scored_y) = self._on_grid(source, grid), self._on_grid(target, grid)
        return PairMoments.of(fitted_x, fitted_y), PairMoments.of(scored_x, scored_y)

    def train_over_neurons(self, source: str, target: str) -> PairMoments:
        """Return the moments of an ordered pair to fit on, in no fewer columns than there are neurons."""
        return self._fitted_on.pair(source, target, narrowed=False)

    def as_scored(self, source: str, target: str) -> bool:
        """Return whether maps are scored on the very rows that the other indices are computed from."""
        grid = self._scored.grid(target)
        return all(
            self._on_grid(name, grid)[1] is self._scored.narrowed(name, grid) for name in (source, target)
        )

    def _on_grid(self, name: str, grid: Grid) -> tuple[CentredRows, CentredRows]:
        if (name, grid) not in self._rows:
            fitted, scored = self._fitted_on.narrowed(name, grid), self._scored.neurons(name, grid)
            self._rows[name, grid] = in_coordinates_of(fitted, scored)
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
