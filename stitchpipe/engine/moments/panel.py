"""The panel of a space: all rows that live on one grid of one view, side by side, filled block after block.

Rows lie features-first, ``[columns, samples·positions]``. Activations are stored as samples of ``(C, H, W)``, so that
filling a panel copies runs of whole positions, and products run along contiguous memory.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from stitchpipe.engine.planning.pass_layout import Operand, Space, panel_samples
from stitchpipe.rows import Maps, adjoint_maps, axes_of, resize_maps, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import Grid


class Panel:
    """The rows of a space: ``[columns, capacity·positions]``, filled from the left.

    Attributes
    ----------
    capacity
        How many samples fit.
    held
        How many samples' rows are there, and not yet part of any sum.
    """

    def __init__(self, plan: Plan, space: Space, backend: Backend) -> None:
        self.space, self.held = space, 0
        self._plan, self._backend = plan, backend
        self.capacity = panel_samples(space, plan.blocks)
        self._per_sample = rows_per_sample(space.view, space.grid)
        self._columns: dict[Operand, slice] = {}
        stop = 0
        for operand in space.operands:
            start, stop = stop, stop + plan.width(space.view, operand.layer)
            self._columns[operand] = slice(start, stop)
        self._resized: dict[int, list[tuple[Operand, Maps]]] = {}
        for operand in space.operands:
            if operand.kind != "native":
                maps_of = resize_maps if operand.kind == "resized" else adjoint_maps
                mapped = operand, maps_of(plan.layers[operand.layer].grid, space.grid)
                self._resized.setdefault(operand.layer, []).append(mapped)
        self._rows = backend.empty((stop, self.capacity * self._per_sample), plan.precision)

    def holds(self, operand: Operand) -> bool:
        """Return whether an operand is among this panel's rows."""
        return operand in self._columns

    def slot(self, operand: Operand, size: int, grid: Grid) -> Any:
        """Return where the next `size` samples of an operand go, ``(columns, size, *grid)``."""
        start = self.held * self._per_sample
        rows = self._rows[self._columns[operand], start : start + size * self._per_sample]
        return rows.reshape(rows.shape[0], size, *axes_of(grid))

    def resized_slots(self, layer: int, size: int) -> list[tuple[Maps, Any]]:
        """Return what this grid needs of a layer that lives on another one: how it is mapped, and where it goes.

        As a source that is larger than its target the layer is resized by U; as a target that is larger than its
        source it is brought down by an adjoint Uᵀ, because (US)ᵀY = Sᵀ(UᵀY).
        """
        here = self.space.grid
        return [(maps, self.slot(operand, size, here)) for operand, maps in self._resized.get(layer, ())]

    def columns(self, operands: Sequence[Operand]) -> Any:
        """Return the rows held of some operands; a view where they lie side by side, otherwise a copy."""
        slices = [self._columns[operand] for operand in operands]
        stop = self.held * self._per_sample
        if all(left.stop == right.start for left, right in itertools.pairwise(slices)):
            return self._rows[slices[0].start : slices[-1].stop, :stop]
        return self._backend.join([self._rows[columns, :stop] for columns in slices])

    def by_position(self, rows: Any) -> Any:
        """Return an operand's rows with their positions apart, ``(columns, held, *grid)``."""
        return rows.reshape(rows.shape[0], self.held, *axes_of(self.space.grid))

    def release(self) -> None:
        """Give the rows' memory back."""
        del self._rows
