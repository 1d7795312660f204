"""One pass over layers in detail: whose rows share a panel, which sums are formed, what is finalised as one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from stitchpipe.engine.planning.chunk_grid import ChunkGrid, Chunks
from stitchpipe.engine.planning.chunks import Chunk, Cutting, Run, even_runs, runs_of, wanted_of
from stitchpipe.engine.planning.tiles import (
    Own,
    Tile,
    apart_of,
    native_grid,
    owns_of,
    side_width,
    tiles_of,
    width,
)
from stitchpipe.rows import Grid, View, n_positions, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stitchpipe.engine.planning.pairs import Matrix, Wanted
    from stitchpipe.engine.planning.shapes import LayerShape

GROUP_COLUMNS: Final = 1024
"""Columns of rows that a leaf keeps as one array, at least: what a task reads is made of whole arrays."""
BAND_COLUMNS = 256
"""Columns of targets that are multiplied at once, at least: narrower products would be bound by memory."""


class Operand(NamedTuple):
    """A layer as one side of a product: on its own grid, resized to a target's, or brought down by an adjoint."""

    layer: int
    kind: Literal["native", "resized", "adjoint"]


@dataclass(frozen=True, slots=True)
class Space:
    """All operands whose rows live on one grid of one view; they share a panel of rows.

    Attributes
    ----------
    leaf_samples
        Where leaves keep rows and no products: how many samples the largest of them has, all of which the panel holds.
    coordinates
        In how many coordinates tasks hold rows of more features than that; None where they hold features.
    """

    view: View
    grid: Grid
    operands: tuple[Operand, ...]
    leaf_samples: int | None = None
    coordinates: int | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Adjacent targets of a tile with all the sources before them: sums ``[targets' columns, sources' columns]``.

    Of a symmetric tile, `sources` are the layers before the band's targets, and these are multiplied with each other
    besides: all bands together hold each product once, so that half of the tile is formed, and held.
    """

    tile: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]


class Blocks(NamedTuple):
    """How rows are formed.

    Attributes
    ----------
    samples
        How many become rows at a time.
    rows
        How many a product has at least, as long as there are more.
    """

    samples: int
    rows: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Tiles that are formed from one reading of their layers.

    Attributes
    ----------
    owns, apart
        Own moments that pairs need, and those of them that are on no tile's diagonal.
    """

    tiles: tuple[Tile, ...]
    bands: tuple[Band, ...]
    chunks: Chunks
    owns: tuple[Own, ...]
    apart: tuple[Own, ...]
    spaces: tuple[Space, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers that the pass reads, each once."""
        return tuple(sorted({index for tile in self.tiles for index in (*tile.sources, *tile.targets)}))

    @property
    def n_pairs(self) -> int:
        """Return how many directed pairs are finalised."""
        of_products = sum(len(chunk) for _, chunk in self.chunks.of_products)
        return of_products + sum(grid.n_pairs for grid in self.chunks.grids)

    def sizes(
        self, width_of: Callable[[View, int], int]
    ) -> Iterator[tuple[Tile, dict[tuple[int, int], int]]]:
        """Yield how many pairs there are of each two widths, source first, tile by tile or by chunk of one."""
        for _, chunk in self.chunks.of_products:
            tile = self.tiles[chunk.tile]
            members = {*chunk.sources, *chunk.targets}
            yield tile, chunk.sizes({layer: width_of(tile.view, layer) for layer in members})
        for grid in self.chunks.grids:
            tile = self.tiles[grid.tile]
            members = {*tile.sources, *tile.targets}
            yield tile, grid.sizes({layer: width_of(tile.view, layer) for layer in members})

    def coordinates(self, view: View) -> int | None:
        """Return in how many coordinates tasks hold rows of more features under a view; None where they do not."""
        return next((space.coordinates for space in self.spaces if space.view == view), None)

    def held_width(self, layers: Sequence[LayerShape], view: View, layer: int) -> int:
        """Return in how many columns a task holds a layer: its own, or those of its coordinates and of its norm."""
        coordinates, columns = self.coordinates(view), width(layers[layer], view)
        return columns if coordinates is None else min(columns, coordinates + 1)


def pass_of(layers: Sequence[LayerShape], pairs: Wanted, cutting: Cutting | None = None) -> Pass:
    """Return the tiles of some pairs and everything that follows from them. Time O(layers²)."""
    cutting = cutting or Cutting()
    tiles = tuple(tile for view, of_view in sorted(pairs.items()) for tile in tiles_of(layers, view, of_view))
    bands: list[Band] = []
    chunks: list[tuple[Chunk, ...] | ChunkGrid] = []
    for number, tile in enumerate(tiles):
        wanted = pairs[tile.view].among(len(layers))
        if tile.view in cutting.leaf_samples:
            sides = (even_runs(layers, tile, side, cutting) for side in (tile.targets, tile.sources))
            chunks.append(ChunkGrid.of(number, tile, wanted, *sides))
        else:
            chunks.append(_banded(layers, number, tile, wanted, cutting, bands))
    summed = [tile for tile in tiles if tile.view not in cutting.leaf_samples]
    owns = owns_of(summed)
    apart = apart_of(summed, owns)
    spaces = _spaces(layers, tiles, apart, cutting)
    return Pass(tiles, tuple(bands), Chunks(tuple(chunks)), owns, apart, spaces)


def _banded(
    layers: Sequence[LayerShape],
    number: int,
    tile: Tile,
    wanted: Matrix,
    cutting: Cutting,
    bands: list[Band],
) -> tuple[Chunk, ...]:
    """Return the chunks of a tile whose products are summed, and add its bands to those of the pass."""
    chunks = []
    for group in _bands(layers, tile, runs_of(layers, tile, cutting)):
        targets = tuple(target for run in group for target in run)
        before = tile.sources[: tile.sources.index(targets[0])] if tile.symmetric else tile.sources
        with_targets = (*before, *targets) if tile.symmetric else before
        for run in group:
            of_run = wanted_of(tile, np.array(with_targets), np.array(run), wanted)
            chunks.append(Chunk.of(number, len(bands), with_targets, run, of_run))
        bands.append(Band(number, before, targets))
    return tuple(chunks)


def _bands(layers: Sequence[LayerShape], tile: Tile, runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs until they have `BAND_COLUMNS` columns."""
    bands: list[list[Run]] = []
    columns = BAND_COLUMNS
    for run in runs:
        if columns >= BAND_COLUMNS:
            bands.append([])
            columns = 0
        bands[-1].append(run)
        columns += side_width(layers, tile.view, run)
    return bands


def _spaces(
    layers: Sequence[LayerShape], tiles: tuple[Tile, ...], apart: tuple[Own, ...], cutting: Cutting
) -> tuple[Space, ...]:
    """Return the operands by grid, those of one side of a tile adjacent where that can be.

    The rows of a side are then a slice of a panel, and are not copied together for every product.
    """
    members: dict[tuple[View, Grid], dict[Operand, None]] = {}
    for tile in sorted(tiles, key=lambda tile: not tile.symmetric):
        operands = members.setdefault((tile.view, tile.formed_on), {})
        operands |= dict.fromkeys(operand_of_side(layers, tile, index, "target") for index in tile.targets)
        operands |= dict.fromkeys(operand_of_side(layers, tile, index, "source") for index in tile.sources)
    for own in apart:
        grid, operand = own_operand(layers, own)
        members.setdefault((own.view, grid), {})[operand] = None
    return tuple(
        Space(view, grid, tuple(operands), cutting.leaf_samples.get(view), cutting.coordinates.get(view))
        for (view, grid), operands in members.items()
    )


def operand_of_side(
    layers: Sequence[LayerShape], tile: Tile, index: int, side: Literal["source", "target"]
) -> Operand:
    """Return how a layer enters a tile's product."""
    if native_grid(layers[index], tile.view) == tile.formed_on:
        return Operand(index, "native")
    return Operand(index, "resized" if side == "source" else "adjoint")


def own_operand(layers: Sequence[LayerShape], own: Own) -> tuple[Grid, Operand]:
    """Return where a layer's own moments are formed, and from what: a downsampled layer there, others at home."""
    native = native_grid(layers[own.layer], own.view)
    if n_positions(native) >= n_positions(own.grid) and native != own.grid:
        return own.grid, Operand(own.layer, "resized")
    return native, Operand(own.layer, "native")


def joined(space: Space, operands: Sequence[Operand]) -> bool:
    """Return whether operands do not lie side by side in this order: their rows are copied for a product."""
    order = {operand: number for number, operand in enumerate(space.operands)}
    return any(order[left] + 1 != order[right] for left, right in itertools.pairwise(operands))


def space_width(layers: Sequence[LayerShape], space: Space) -> int:
    """Return the columns of a space's panel."""
    return side_width(layers, space.view, (operand.layer for operand in space.operands))


def row_groups(layers: Sequence[LayerShape], space: Space) -> list[tuple[Operand, ...]]:
    """Cut the operands of a space into those whose rows are kept as one array."""
    groups: list[list[Operand]] = []
    columns = GROUP_COLUMNS
    for operand in space.operands:
        if columns >= GROUP_COLUMNS:
            groups.append([])
            columns = 0
        groups[-1].append(operand)
        columns += width(layers[operand.layer], space.view)
    return [tuple(group) for group in groups]


def panel_samples(space: Space, blocks: Blocks) -> int:
    """Return how many samples a space's panel holds: whole blocks, enough for the rows of a product, or a leaf."""
    if space.leaf_samples is not None:
        return space.leaf_samples
    count = -(-blocks.rows // (blocks.samples * rows_per_sample(space.view, space.grid)))
    return blocks.samples * max(1, count)
