"""The sums of one pass over some samples: rows are formed once per grid, each product once.

Rows lie features-first, ``[p, n·positions]``: activations are stored as samples of ``(C, H, W)``, so that this
takes copies of whole positions, and products run along contiguous memory. All values are taken about a fixed shift
per feature, the same for all leaves of a split, which keeps the sums small next to what varies.
"""

from __future__ import annotations

import itertools
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.engine.moments.leaf import LeafState, columns_of
from stitchpipe.engine.moments.shift import features_first
from stitchpipe.engine.planning.pass_layout import Operand, Space, operand, own_operand, panel_samples
from stitchpipe.engine.planning.tiles import Own, native_grid
from stitchpipe.rows import (
    Maps,
    adjoint_maps,
    axes_of,
    gram_root_maps,
    n_positions,
    position_weights,
    resize_maps,
    rows_per_sample,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.moments.leaf import Sums
    from stitchpipe.engine.moments.shift import Float64, Shift, Stored
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import Grid, View


class PassSums:
    """The sums of a pass; `add` blocks of samples in order, then take the `state`.

    Parameters
    ----------
    plan, step
        The pass.
    shifts
        By layer of the pass.
    backend
        The array library that multiplies; rows and sums are its arrays until `state`.

    Notes
    -----
    Memory: `plan.cost.peak_bytes` bounds it. Time: the pass's flops, and one conversion of each value.
    """

    def __init__(
        self, plan: Plan, step: int, shifts: Mapping[int, Shift], backend: Backend = numpy_backend
    ) -> None:
        self._plan, self._work, self._shifts, self._backend = plan, plan.passes[step], shifts, backend
        self._channels = {index: backend.load(shift.channels) for index, shift in shifts.items()}
        self._positions = {index: backend.load(shift.positions) for index, shift in shifts.items()}
        self._n = 0
        self._sums = {(own.view, own.layer): backend.zeros(_summed(plan, own)) for own in self._work.owns}
        self._panels = [_Panel(plan, space, backend) for space in self._work.spaces]
        self._tiles = [
            _TileSum(self._panel(tile.view, tile.work), number, plan, self._work, backend)
            for number, tile in enumerate(self._work.tiles)
        ]
        self._owns = [
            _OwnSum(self._panel(own.view, own_operand(plan.layers, own)[0]), own, plan, backend)
            for own in self._work.apart
        ]

    def add(self, size: int, block: Iterable[tuple[int, Stored]]) -> None:
        """Add `size` samples, ``(size, *shape)`` for each layer of the pass; taken one after the other."""
        self._n += size
        for panel in self._panels:
            if panel.held + size > panel.capacity:
                self._flush(panel)
        for index, values in block:
            self._add_layer(index, self._backend.load(features_first(values)), size)
        for panel in self._panels:
            panel.held += size

    def _add_layer(self, index: int, values: Any, size: int) -> None:
        """Write all operands that one layer gives into their panels."""
        homes = {panel.space.view: panel for panel in self._panels if panel.holds(Operand(index, "native"))}
        home = homes.get("positions")
        if home is None:
            rows = self._backend.empty(tuple(values.shape), self._plan.precision)
        else:
            rows = home.slot(Operand(index, "native"), size, self._plan.layers[index].grid)
        pooled = self._backend.zeros((len(rows), size)) if "pooled" in homes else None
        resized = [one for panel in self._panels for one in panel.resized(index, size)]
        for part in self._parts(rows):
            self._backend.fill(rows[part], values[part], self._channels[index][part])
            if ("positions", index) in self._sums:
                self._sums["positions", index][part] += self._backend.sum_samples(rows[part])
            for maps, slot in resized:
                self._backend.resize(rows[part], maps, slot[part])
            if pooled is not None:
                pooled[part] = self._backend.mean_positions(rows[part])
        if pooled is not None:
            self._add_images(homes["pooled"], index, pooled)
        if "flatten" in homes:
            if home is not None:
                rows = self._backend.empty(tuple(values.shape), self._plan.precision)
            self._backend.fill(rows, values, self._positions[index])
            flat = rows.reshape(rows.shape[0], size, -1)
            self._add_images(homes["flatten"], index, flat.swapaxes(1, 2).reshape(-1, size))

    def _parts(self, rows: Any) -> list[slice]:
        """Return runs of channels whose rows stay in the processor's cache from one use to the next."""
        step = max(1, self._backend.cached // max(1, prod(rows.shape[1:])))
        return [slice(start, start + step) for start in range(0, len(rows), step)]

    def _add_images(self, panel: _Panel, index: int, rows: Any) -> None:
        """Write the one row ``[p, size]`` that an image has under `pooled` or `flatten`, its squared norm last."""
        slot = panel.slot(Operand(index, "native"), rows.shape[1], ())
        slot[:-1] = rows
        slot[-1] = self._backend.squared_norms(slot[:-1]) - self._shifts[index].norms[panel.space.view]
        self._sums[panel.space.view, index] += self._backend.sum_samples(slot)

    def _flush(self, panel: _Panel) -> None:
        """Add the products of the rows that a panel holds to their sums, and empty it."""
        if panel.held:
            parts: list[_TileSum | _OwnSum] = [*self._tiles, *self._owns]
            for part in parts:
                if part.panel is panel:
                    part.add()
            panel.held = 0

    def _panel(self, view: View, work: Grid) -> _Panel:
        return next(panel for panel in self._panels if (panel.space.view, panel.space.work) == (view, work))

    def state(self) -> LeafState:
        """Return the moments of all samples added so far; the sums are used up.

        Raises
        ------
        MomentsError
            They overflowed.
        """
        for panel in self._panels:
            self._flush(panel)
            panel.release()
        means = {own: self._mean(own) for own in self._work.owns}
        products = [band for part in self._tiles for band in part.finished()]
        comoments = {part.own: part.finished() for part in self._owns}
        return LeafState.from_sums(self._plan, self._work, self._n, means, products, comoments)

    def _mean(self, own: Own) -> Float64:
        """Return a layer's mean on a grid, about its shift."""
        sums = self._backend.fetch(self._sums[own.view, own.layer])
        if own.view != "positions":
            return np.asarray(sums / self._n)
        flat = sums.reshape(len(sums), -1)
        native = native_grid(self._plan.layers[own.layer], own.view)
        if native != own.grid:
            flat = flat * position_weights(native, own.grid)
        return np.asarray(flat.sum(axis=1) / (self._n * n_positions(own.grid)))


def _summed(plan: Plan, own: Own) -> tuple[int, ...]:
    """Return the shape of a layer's sums under a view: one for each feature, and for each position of a row."""
    layer = plan.layers[own.layer]
    return (plan.width(own.view, own.layer), *(axes_of(layer.grid) if own.view == "positions" else ()))


class _Panel:
    """The rows of a space: ``[columns, capacity·positions]``, filled from the left."""

    def __init__(self, plan: Plan, space: Space, backend: Backend) -> None:
        self.space, self.held = space, 0
        self._plan, self._backend = plan, backend
        self.capacity = panel_samples(space, plan.blocks)
        self._per_sample = rows_per_sample(space.view, space.work)
        self._columns: dict[Operand, slice] = {}
        stop = 0
        for member in space.operands:
            start, stop = stop, stop + plan.width(space.view, member.layer)
            self._columns[member] = slice(start, stop)
        self._rows = backend.empty((stop, self.capacity * self._per_sample), plan.precision)

    def holds(self, member: Operand) -> bool:
        """Return whether an operand is among this panel's rows."""
        return member in self._columns

    def slot(self, member: Operand, size: int, grid: Grid) -> Any:
        """Return where the next `size` samples of an operand go, ``(columns, size, *grid)``."""
        start = self.held * self._per_sample
        rows = self._rows[self._columns[member], start : start + size * self._per_sample]
        return rows.reshape(rows.shape[0], size, *axes_of(grid))

    def resized(self, index: int, size: int) -> list[tuple[Maps, Any]]:
        """Return what this grid needs of a layer that lives on another one: how it is mapped, and where it goes."""
        native, work = self._plan.layers[index].grid, self.space.work
        found = []
        if self.holds(Operand(index, "resized")):
            found.append((resize_maps(native, work), self.slot(Operand(index, "resized"), size, work)))
        if self.holds(Operand(index, "adjoint")):
            found.append((adjoint_maps(native, work), self.slot(Operand(index, "adjoint"), size, work)))
        return found

    def columns(self, members: list[Operand]) -> Any:
        """Return the rows held of some operands; a view where they lie side by side."""
        slices = [self._columns[member] for member in members]
        stop = self.held * self._per_sample
        adjacent = all(a.stop == b.start for a, b in itertools.pairwise(slices))
        if adjacent:
            return self._rows[slices[0].start : slices[-1].stop, :stop]
        return self._backend.join([self._rows[one, :stop] for one in slices])

    def positions(self, rows: Any) -> Any:
        """Return an operand's rows with their positions apart, ``(columns, held, *work)``."""
        return rows.reshape(rows.shape[0], self.held, *axes_of(self.space.work))

    def release(self) -> None:
        """Give the rows' memory back."""
        del self._rows


class _TileSum:
    """The sums of a tile's products, band by band."""

    def __init__(self, panel: _Panel, number: int, plan: Plan, work: Pass, backend: Backend) -> None:
        self.panel, self._tile, self._backend = panel, work.tiles[number], backend
        self._x = [operand(plan.layers, self._tile, index, "source") for index in self._tile.sources]
        self._y = [operand(plan.layers, self._tile, index, "target") for index in self._tile.targets]
        self._bands: list[tuple[slice, slice]] = []
        self._totals: list[tuple[Any, Any]] = []
        for band in work.bands:
            if band.tile == number:
                p, q = (columns_of(plan, self._tile, side) for side in (band.sources, band.targets))
                start = self._bands[-1][1].stop if self._bands else 0
                self._bands.append((slice(0, p), slice(start, start + q)))
                square = backend.zeros((q, q)) if self._tile.symmetric else None
                self._totals.append((backend.zeros((q, p)), square))

    def add(self) -> None:
        """Add the products of the rows that the panel holds."""
        y = self.panel.columns(self._y)
        x = y if self._tile.symmetric else self.panel.columns(self._x)
        for (sources, targets), (across, square) in zip(self._bands, self._totals, strict=True):
            if sources.stop:
                self._backend.add_product(across, y[targets], x[sources])
            if square is not None:
                self._backend.add_symmetric(square, y[targets])

    def finished(self) -> list[Sums]:
        """Return the sums of each band, both triangles of a symmetric one; they are used up."""
        found = []
        while self._totals:
            across, square = self._totals.pop(0)
            if square is not None:
                self._backend.mirror(square)
            found.append(
                (self._backend.fetch(across), None if square is None else self._backend.fetch(square))
            )
        return found


class _OwnSum:
    """The sum of a layer's own products on a grid, where no tile forms it."""

    def __init__(self, panel: _Panel, own: Own, plan: Plan, backend: Backend) -> None:
        self.panel, self.own, self._backend, self._precision = panel, own, backend, plan.precision
        work, self._member = own_operand(plan.layers, own)
        # An upsampled layer's own products are formed at home: ‖Us‖ = ‖(UᵀU)^½ s‖.
        self._upsampled = self._member.kind == "native" and work != own.grid
        columns = plan.width(own.view, own.layer)
        self._total = backend.zeros((columns, columns))

    def add(self) -> None:
        """Add the products of the rows that the panel holds."""
        x = self.panel.columns([self._member])
        if self._upsampled:
            rows = self.panel.positions(x)
            raised = self._backend.empty(tuple(rows.shape), self._precision)
            self._backend.resize(rows, gram_root_maps(self.panel.space.work, self.own.grid), raised)
            x = raised.reshape(x.shape[0], -1)
        self._backend.add_symmetric(self._total, x)

    def finished(self) -> Float64:
        """Return the sum."""
        self._backend.mirror(self._total)
        return self._backend.fetch(self._total)
