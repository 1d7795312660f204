"""Which products a set of layer pairs needs, and at which resolution each is formed. Integers in, tiles out.

A pair is compared on its target's grid. Resizing is linear, so with a source S that is resized by U,
(US)ᵀY = Sᵀ(UᵀY): the product is formed wherever there are fewer positions. A larger source is resized to its
target's grid; a smaller one is left as it is, and the adjoint Uᵀ brings the target down to it. The own moments of
an upsampled source are Sᵀ(UᵀU)S, at its own resolution. All of it is exact.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.rows import Grid, View, n_positions, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stitchpipe.engine.planning.pairs import Matrix
    from stitchpipe.engine.planning.shapes import LayerShape


@dataclass(frozen=True, slots=True)
class Tile:
    """A block of layer pairs whose products are formed as one.

    Attributes
    ----------
    grid
        Where the numbers live: the grid of every target of the tile.
    formed_on
        The grid of the product: `grid`, or the smaller grid of the sources.
    sources, targets
        Indices of the plan's layers.
    mutual
        Neither side is resized: the product serves both directions.
    """

    view: View
    grid: Grid
    formed_on: Grid
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    mutual: bool

    @property
    def symmetric(self) -> bool:
        """Return whether sources and targets are the same layers: then half of the product is formed."""
        return self.mutual and self.sources == self.targets


@dataclass(frozen=True, slots=True, order=True)
class Own:
    """A layer's own moments on a grid, which its pairs there share."""

    view: View
    layer: int
    grid: Grid


def native_grid(layer: LayerShape, view: View) -> Grid:
    """Return the grid on which a layer lives under a view: ``()`` where a row is an image."""
    return layer.grid if view == "positions" else ()


def width(layer: LayerShape, view: View) -> int:
    """Return the columns of a layer: its features, and the squared row norm where a row is an image.

    Debiased CKA needs the products of row norms; it is not defined on the rows of one image, so neither are they.
    """
    return width_of(layer.shape, view) + (view != "positions")


def side_width(layers: Sequence[LayerShape], view: View, members: Iterable[int]) -> int:
    """Return how many columns some layers have side by side."""
    return sum(width(layers[member], view) for member in members)


def side_slice(
    layers: Sequence[LayerShape], view: View, members: Sequence[int], adjacent: Sequence[int]
) -> slice:
    """Return which columns belong to `adjacent` ones among `members` that lie side by side."""
    start = side_width(layers, view, members[: list(members).index(adjacent[0])])
    return slice(start, start + side_width(layers, view, adjacent))


def comparable(layers: Sequence[LayerShape], view: View, pairs: Pairs) -> Pairs:
    """Return the pairs that can be put on one grid: images and tokens are resized, vectors have no positions."""
    placed = np.array([bool(native_grid(layer, view)) for layer in layers], np.bool_)
    return Pairs(pairs.among(len(layers)) & (placed[:, None] == placed))


def tiles_of(layers: Sequence[LayerShape], view: View, pairs: Pairs) -> list[Tile]:
    """Return tiles that form every pair's product, each product once.

    Layers that need the same partners are taken together, so that all pairs of all layers of one grid are one
    symmetric tile, and a new model beside old ones is one symmetric and one rectangular tile.
    """
    wanted, on_grid = pairs.among(len(layers)), defaultdict[Grid, list[int]](list)
    for number, layer in enumerate(layers):
        on_grid[native_grid(layer, view)].append(number)
    tiles = []
    for grid, members in sorted(on_grid.items()):
        # Nothing is resized, and XᵀY is the transpose of YᵀX: one product serves both directions.
        mutual = wanted[np.ix_(members, members)]
        covers = _symmetric_cover(mutual | mutual.T, members)
        tiles += [Tile(view, grid, grid, *sides, mutual=True) for sides in covers]
    for (grid, formed_on), sources in sorted(_resized(on_grid).items()):
        targets = on_grid[grid]
        covers = _cover(wanted[np.ix_(sources, targets)], sources, targets)
        tiles += [Tile(view, grid, formed_on, *sides, mutual=False) for sides in covers]
    return tiles


def _resized(on_grid: Mapping[Grid, Sequence[int]]) -> dict[tuple[Grid, Grid], list[int]]:
    """Return the layers of other grids by where their products with a grid's are formed: grid, formed on → sources.

    (US)ᵀY = Sᵀ(UᵀY): on whichever of the two grids there are fewer positions.
    """
    sources: dict[tuple[Grid, Grid], list[int]] = defaultdict(list)
    for grid, (home, members) in product(on_grid, on_grid.items()):
        if home != grid:
            formed_on = grid if n_positions(home) >= n_positions(grid) else home
            sources[grid, formed_on] += members
    return {key: sorted(members) for key, members in sources.items()}


def _partners(
    wanted: Matrix, sources: Sequence[int], targets: Sequence[int]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the targets that sources need, with all that need just these; ``wanted [sources, targets]``."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for place in np.flatnonzero(wanted.any(axis=1)).tolist():
        groups[np.packbits(wanted[place]).tobytes()].append(place)
    names = np.array(targets, np.int64)
    return [
        (tuple(names[wanted[places[0]]].tolist()), tuple(sources[place] for place in places))
        for places in groups.values()
    ]


def _cover(
    wanted: Matrix, sources: Sequence[int], targets: Sequence[int]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cover directed pairs by rectangles, each pair once."""
    return [(members, partners) for partners, members in _partners(wanted, sources, targets)]


def _symmetric_cover(wanted: Matrix, layers: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cover a symmetric relation: each class of layers with itself, and with all later classes, once.

    Partners are in the order of their classes, so that those of a later class are the last ones of an earlier class.
    """
    # Layers of a class have the same partners. In a symmetric relation, so have the layers of each partner's class:
    # a class is related to all of another or to none of it, and its block is a whole rectangle.
    classes = _partners(wanted, layers, layers)
    class_of = {layer: number for number, (_, members) in enumerate(classes) for layer in members}
    blocks = []
    for number, (partners, members) in enumerate(classes):
        if any(class_of[layer] == number for layer in partners):
            blocks.append((members, members))
        later = sorted((class_of[layer], layer) for layer in partners if class_of[layer] > number)
        if later:
            blocks.append((members, tuple(layer for _, layer in later)))
    return blocks


def owns_of(tiles: Iterable[Tile]) -> tuple[Own, ...]:
    """Return whose own moments the tiles' pairs need, and where."""
    return tuple(sorted({Own(t.view, index, t.grid) for t in tiles for index in (*t.sources, *t.targets)}))


def apart_of(tiles: Iterable[Tile], owns: Iterable[Own]) -> tuple[Own, ...]:
    """Return the own moments that no symmetric tile forms anyway."""
    formed = {Own(tile.view, index, tile.grid) for tile in tiles if tile.symmetric for index in tile.sources}
    return tuple(own for own in owns if own not in formed)
