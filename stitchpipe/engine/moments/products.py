"""Sums of products over the rows of a panel: those of a tile's pairs, and a layer's own where no tile forms them."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.pass_layout import operand_of_side, own_operand
from stitchpipe.engine.planning.tiles import side_width
from stitchpipe.rows import gram_root_maps

if TYPE_CHECKING:
    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.moments.panel import Panel
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Own

Float64: TypeAlias = npt.NDArray[np.float64]
BandSums: TypeAlias = tuple[Float64, Float64 | None]
"""Of a band: targets with the sources before them, and of a symmetric tile targets with themselves."""


class TileSum:
    """The sums of a tile's products Σ y xᵀ, band by band.

    A symmetric tile forms no product twice: of each band it keeps the targets with the sources before them (`across`,
    empty for the first band) and the targets with themselves (`square`, of which only the upper triangle is formed).
    """

    def __init__(self, panel: Panel, tile_number: int, plan: Plan, formed: Pass, backend: Backend) -> None:
        self.panel, self._tile, self._backend = panel, formed.tiles[tile_number], backend
        layers, tile = plan.layers, self._tile
        self._x = [operand_of_side(layers, tile, layer, "source") for layer in tile.sources]
        self._y = [operand_of_side(layers, tile, layer, "target") for layer in tile.targets]
        bands = [band for band in formed.bands if band.tile == tile_number]
        self._heights = [side_width(layers, tile.view, band.targets) for band in bands]
        # A band's targets follow those of the band before; its sources are always the first columns.
        self._totals: list[tuple[Any, Any]] = []
        if tile.symmetric:
            for band, q in zip(bands, self._heights, strict=True):
                p = side_width(layers, tile.view, band.sources)
                self._totals.append((backend.zeros((q, p)), backend.zeros((q, q))))
        else:
            columns = side_width(layers, tile.view, tile.sources)
            self._totals.append((backend.zeros((sum(self._heights), columns)), None))

    def add(self) -> None:
        """Add the products of the rows that the panel holds: one for all bands where the tile is not symmetric."""
        y = self.panel.columns(self._y)
        if not self._tile.symmetric:
            self._backend.add_product(self._totals[0][0], y, self.panel.columns(self._x))
            return
        start = 0
        for across, square in self._totals:
            before, targets = across.shape[1], y[start : start + len(square)]
            if before:
                self._backend.add_product(across, targets, y[:before])
            self._backend.add_symmetric(square, targets)
            start += len(square)

    def finished(self) -> list[BandSums]:
        """Return the sums of each band, both triangles of a symmetric one; they are used up."""
        if not self._tile.symmetric:
            whole, stops = self._backend.fetch(self._totals.pop()[0]), list(accumulate(self._heights))
            return [(whole[stop - q : stop], None) for stop, q in zip(stops, self._heights, strict=True)]
        finished: list[BandSums] = []
        while self._totals:  # one after the other, so that no two copies of all of them are held
            across, square = self._totals.pop(0)
            self._backend.mirror(square)
            finished.append((self._backend.fetch(across), self._backend.fetch(square)))
        return finished


class OwnSum:
    """The sum Σ x xᵀ of a layer's own products on a grid, where no tile forms it."""

    def __init__(self, panel: Panel, own: Own, plan: Plan, backend: Backend) -> None:
        self.panel, self.own, self._backend, self._precision = panel, own, backend, plan.precision
        formed_on, self._operand = own_operand(plan.layers, own)
        # An upsampled layer's own products are formed at home: ‖U s‖ = ‖(UᵀU)^½ s‖, with fewer positions.
        self._is_upsampled = self._operand.kind == "native" and formed_on != own.grid
        columns = plan.width(own.view, own.layer)
        self._total = backend.zeros((columns, columns))

    def add(self) -> None:
        """Add the products of the rows that the panel holds."""
        x = self.panel.columns([self._operand])
        if self._is_upsampled:
            rows = self.panel.by_position(x)
            raised = self._backend.empty(tuple(rows.shape), self._precision)
            self._backend.resize(rows, gram_root_maps(self.panel.space.grid, self.own.grid), raised)
            x = raised.reshape(x.shape[0], -1)
        self._backend.add_symmetric(self._total, x)

    def finished(self) -> Float64:
        """Return the sum, both triangles."""
        self._backend.mirror(self._total)
        return self._backend.fetch(self._total)
