"""The sums of one pass over some samples: rows are formed once per grid, each product once.

All values are taken about a fixed shift per feature, the same for all leaves of a split. Covariances do not depend on
it, and sums stay small next to what varies: no digits are lost to a large mean.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.engine.moments.kept_rows import kept_rows
from stitchpipe.engine.moments.leaf import LeafState, OwnLayout, centred_products
from stitchpipe.engine.moments.panel import Panel
from stitchpipe.engine.moments.products import OwnSum, TileSum
from stitchpipe.engine.moments.shift import features_first
from stitchpipe.engine.planning.pass_layout import Operand, own_operand
from stitchpipe.engine.planning.tiles import Own, native_grid
from stitchpipe.rows import axes_of, n_positions, position_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.moments.shift import Float64, Shift, Stored
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import Grid, View


class PassSums:
    """The sums of a pass; `add` blocks of samples in order, then take the `state`.

    Parameters
    ----------
    plan, pass_number
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
        self, plan: Plan, pass_number: int, shifts: Mapping[int, Shift], backend: Backend = numpy_backend
    ) -> None:
        self._plan, self._shifts, self._backend = plan, shifts, backend
        self._formed = plan.passes[pass_number]
        self._channels = {layer: backend.load(shift.channels) for layer, shift in shifts.items()}
        self._positions = {layer: backend.load(shift.positions) for layer, shift in shifts.items()}
        self._n = 0
        self._sums = {
            (own.view, own.layer): backend.zeros(_shape_of_sums(plan, own)) for own in self._formed.owns
        }
        self._panels = [Panel(plan, space, backend) for space in self._formed.spaces]
        self._tiles = [
            TileSum(self._panel(tile.view, tile.formed_on), number, plan, self._formed, backend)
            for number, tile in enumerate(self._formed.tiles)
            if any(band.tile == number for band in self._formed.bands)
        ]
        self._owns = [
            OwnSum(self._panel(own.view, own_operand(plan.layers, own)[0]), own, plan, backend)
            for own in self._formed.apart
        ]

    def add(self, size: int, block: Iterable[tuple[int, Stored]]) -> None:
        """Add `size` samples, ``(size, *shape)`` for each layer of the pass; taken one after the other.

        A layer's values are let go before the next one's are asked for. Products wait until a panel is full, because
        those of few rows would be bound by reading and writing their sums.
        """
        self._n += size
        for panel in self._panels:
            if panel.held + size > panel.capacity:
                self._flush(panel)
        for layer, values in block:
            self._add_layer(layer, self._backend.load(features_first(values)), size)
        for panel in self._panels:
            panel.held += size

    def _add_layer(self, layer: int, values: Any, size: int) -> None:
        """Write all operands that one layer gives into their panels, and add to its sums."""
        native = Operand(layer, "native")
        homes = {panel.space.view: panel for panel in self._panels if panel.holds(native)}
        home = homes.get("positions")
        # Shifted rows on the layer's own grid are needed by every view; where no panel takes them they are scratch.
        if home is None:
            rows = self._backend.empty(tuple(values.shape), self._plan.precision)
        else:
            rows = home.slot(native, size, self._plan.layers[layer].grid)
        pooled = self._backend.zeros((len(rows), size)) if "pooled" in homes else None
        slots = [slot for panel in self._panels for slot in panel.resized_slots(layer, size)]
        for part in self._cached_parts(rows):
            # Everything that reads these channels follows at once, while they are in the processor's cache.
            self._backend.fill(rows[part], values[part], self._channels[layer][part])
            if ("positions", layer) in self._sums:
                self._sums["positions", layer][part] += self._backend.sum_samples(rows[part])
            for maps, slot in slots:
                self._backend.resize(rows[part], maps, slot[part])
            if pooled is not None:
                pooled[part] = self._backend.mean_positions(rows[part])
        if pooled is not None:
            self._add_images(homes["pooled"], layer, pooled)
        if "flatten" in homes:
            # A flattened row has a mean for every position, so that it is shifted anew, by more than its channels.
            if home is not None:
                rows = self._backend.empty(tuple(values.shape), self._plan.precision)
            self._backend.fill(rows, values, self._positions[layer])
            flat = rows.reshape(rows.shape[0], size, -1)
            self._add_images(homes["flatten"], layer, flat.swapaxes(1, 2).reshape(-1, size))

    def _cached_parts(self, rows: Any) -> list[slice]:
        """Return runs of channels whose rows stay in the processor's cache from one use to the next."""
        count = max(1, self._backend.cached // max(1, prod(rows.shape[1:])))
        return [slice(start, start + count) for start in range(0, len(rows), count)]

    def _add_images(self, panel: Panel, layer: int, rows: Any) -> None:
        """Write the one row ``[p, size]`` that an image has under `pooled` or `flatten`, its squared norm last.

        Debiased CKA needs Σᵢ‖xᵢ‖²‖yᵢ‖², which is one more product once the norms are a column; that column has a
        shift too, the mean norm of the first samples.
        """
        slot = panel.slot(Operand(layer, "native"), rows.shape[1], ())
        slot[:-1] = rows
        slot[-1] = self._backend.squared_norms(slot[:-1]) - self._shifts[layer].norms[panel.space.view]
        if (panel.space.view, layer) in self._sums:
            self._sums[panel.space.view, layer] += self._backend.sum_samples(slot)

    def _flush(self, panel: Panel) -> None:
        """Add the products of the rows that a panel holds to their sums, and empty it."""
        if panel.held and panel.space.leaf_samples is None:
            sums: list[TileSum | OwnSum] = [*self._tiles, *self._owns]
            for products in sums:
                if products.panel is panel:
                    products.add()
            panel.held = 0

    def _panel(self, view: View, grid: Grid) -> Panel:
        return next(panel for panel in self._panels if (panel.space.view, panel.space.grid) == (view, grid))

    def state(self) -> LeafState:
        """Return the moments of all samples added so far; the sums are used up.

        Raises
        ------
        MomentsError
            They overflowed.
        """
        for panel in self._panels:
            self._flush(panel)
        rows: dict[str, Any] = {}
        for number, panel in enumerate(self._panels):
            if panel.space.leaf_samples is None:
                panel.release()
            else:
                rows |= kept_rows(panel, self._plan, number, self._backend)
        means = {own: self._mean(own) for own in self._formed.owns}
        products = [band for tile in self._tiles for band in tile.finished()]
        comoments = {products.own: products.finished() for products in self._owns}
        layout = OwnLayout(self._plan, self._formed)
        centred = centred_products(layout, self._n, means, products, comoments)
        return LeafState(self._n, {**rows, **centred})

    def _mean(self, own: Own) -> Float64:
        """Return a layer's mean on a grid, about its shift.

        Sums are kept for every position of the layer's own grid. Those of the rows resized by U follow without
        resizing any: Σₚ (U s)ₚ = (Uᵀ1)ᵀ s, each position counting as often as U spreads it.
        """
        sums = self._backend.fetch(self._sums[own.view, own.layer])
        if own.view != "positions":
            return np.asarray(sums / self._n)
        flat = sums.reshape(len(sums), -1)
        native = native_grid(self._plan.layers[own.layer], own.view)
        if native != own.grid:
            flat = flat * position_weights(native, own.grid)
        return np.asarray(flat.sum(axis=1) / (self._n * n_positions(own.grid)))


def _shape_of_sums(plan: Plan, own: Own) -> tuple[int, ...]:
    """Return the shape of a layer's sums under a view: one for each feature, and for each position of a row."""
    layer = plan.layers[own.layer]
    return (plan.width(own.view, own.layer), *(axes_of(layer.grid) if own.view == "positions" else ()))
