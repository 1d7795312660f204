"""What one worker holds while it forms a leaf of a pass, or finalises a chunk of it: a sum over arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final, Literal

from stitchpipe.algebra.backends.numpy_backend import COPIED
from stitchpipe.engine.planning.chunk_memory import FLOAT_BYTES, SLICE_BYTES, ChunkMemory
from stitchpipe.engine.planning.pass_layout import (
    joined,
    operand_of_side,
    own_operand,
    panel_samples,
    space_width,
)
from stitchpipe.engine.planning.tiles import side_width, width
from stitchpipe.rows import n_positions, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.engine.planning.chunk_memory import Evaluation, LeafCounts
    from stitchpipe.engine.planning.pass_layout import Band, Blocks, Operand, Pass, Space
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.rows import Grid

Precision = Literal["float64", "float32"]

ITEM_BYTES: Final[dict[Precision, int]] = {"float64": 8, "float32": 4}
WORKER_BYTES: Final = 160 * 2**20 + SLICE_BYTES
"""A worker's interpreter and libraries, before any work (seen: 120-150 MiB), and those slices."""
BACKEND_BYTES: Final[dict[BackendName, int]] = {"numpy": 0, "torch": 512 * 2**20}
"""What an array library adds to that (torch with CUDA's libraries, seen: 390 MiB, or 500 that are shared)."""


def beside_worker_bytes(peak_bytes: int, backend: BackendName) -> int:
    """Return what of a worker's projected peak is the comparison's: without interpreter and libraries."""
    return peak_bytes - WORKER_BYTES - BACKEND_BYTES[backend]


@dataclass(frozen=True, slots=True)
class PanelSize:
    """The rows of a space, and what is copied of them for a product at most; in columns.

    Attributes
    ----------
    joined
        Of operands that do not lie side by side, or that are raised to another grid.
    multiplied
        Of the widest product.
    """

    space: Space
    columns: int
    joined: int
    multiplied: int

    def bytes_of(self, blocks: Blocks, item: int) -> tuple[int, int]:
        """Return the bytes of the panel and of the copies."""
        rows = panel_samples(self.space, blocks) * rows_per_sample(self.space.view, self.space.grid)
        copied = min(rows, COPIED) if item == FLOAT_BYTES else 0
        return item * rows * self.columns, item * (rows * self.joined + copied * self.multiplied)


@dataclass(frozen=True, slots=True)
class Held:
    """What a pass holds beside the worker itself, in bytes.

    Attributes
    ----------
    sums
        Products, own moments and means, as long as there are rows to add.
    copies
        At the end of a leaf, beside the sums: own moments that are parts of wider products.
    chunk
        The chunk whose finalisation takes most.
    item
        Of a number of a row.
    sample
        What the layer with most scratch takes for each sample of a block.
    stored
        How many layers there are of each (samples of a chunk, bytes of a sample).
    """

    sums: int
    copies: int
    chunk: int
    item: int
    sample: int
    panels: tuple[PanelSize, ...]
    stored: tuple[tuple[tuple[int, int], int], ...]

    @classmethod
    def of(
        cls,
        layers: Sequence[LayerShape],
        formed: Pass,
        precision: Precision,
        leaves: LeafCounts,
        evaluation: Evaluation,
        n_samples: int,
    ) -> Held:
        """Count the arrays of a pass; `n_samples` of its largest split."""
        item, mine = ITEM_BYTES[precision], formed.layers
        apart = sum(width(layers[own.layer], own.view) ** 2 for own in formed.apart)
        own = sum(width(layers[own.layer], own.view) ** 2 for own in formed.owns)
        summed = {(own.view, own.layer) for own in formed.owns}
        means = sum(
            prod(layers[index].shape) if view == "positions" else width(layers[index], view)
            for view, index in summed
        )
        products = [_band_products(layers, formed, band) for band in formed.bands]
        # In float32 a block's product is formed beside its sum before it is added.
        spare = max(products, default=0) // 2 if precision == "float32" else 0
        kinds = _kinds(formed)
        return cls(
            sums=FLOAT_BYTES * (sum(products) + apart + means + spare),
            copies=FLOAT_BYTES * (own - apart),
            chunk=ChunkMemory(layers, formed, leaves, evaluation, item * n_samples).most,
            item=item,
            sample=max((_sample_bytes(layers[index], kinds[index], item) for index in mine), default=0),
            panels=tuple(_panel(layers, formed, space) for space in formed.spaces),
            stored=tuple(
                Counter((layers[index].chunk_samples, layers[index].sample_bytes) for index in mine).items()
            ),
        )

    def peak_bytes(self, blocks: Blocks) -> int:
        """Return the most that is held at once, where rows are formed in such blocks."""
        return max(self.sums + max(self.rows_bytes(blocks), self.copies), self.chunk)

    def rows_bytes(self, blocks: Blocks) -> int:
        """Return the bytes of the panels, of what stored chunks leave over, and of scratch."""
        sizes = [panel.bytes_of(blocks, self.item) for panel in self.panels]
        over = sum(count * _left_over(*chunk, blocks.samples) for chunk, count in self.stored)
        copies = max((copied for _, copied in sizes), default=0)
        return sum(size for size, _ in sizes) + over + max(blocks.samples * self.sample, copies)


def _band_products(layers: Sequence[LayerShape], formed: Pass, band: Band) -> int:
    """Return how many numbers the sums of a band are."""
    tile = formed.tiles[band.tile]
    p, q = (side_width(layers, tile.view, side) for side in (band.sources, band.targets))
    return q * (p + q if tile.symmetric else p)


def _panel(layers: Sequence[LayerShape], formed: Pass, space: Space) -> PanelSize:
    """Return a space's panel, and what its tiles and own moments copy."""
    copied, multiplied = [0], [0]
    for tile in formed.tiles if space.leaf_samples is None else ():
        if (tile.view, tile.formed_on) == (space.view, space.grid):
            sides: list[list[Operand]] = [
                [operand_of_side(layers, tile, index, "target") for index in tile.targets]
            ]
            if not tile.symmetric:
                sides.append([operand_of_side(layers, tile, index, "source") for index in tile.sources])
            columns = [side_width(layers, tile.view, (operand.layer for operand in side)) for side in sides]
            copied.append(
                sum(count for side, count in zip(sides, columns, strict=True) if joined(space, side))
            )
            multiplied.append(sum(columns) * (1 + tile.symmetric))
    for own in formed.apart:
        formed_on, _ = own_operand(layers, own)
        if (own.view, formed_on) == (space.view, space.grid) and formed_on != own.grid:
            copied.append(2 * width(layers[own.layer], own.view))
    return PanelSize(space, space_width(layers, space), max(copied), max(multiplied))


def _left_over(chunk: int, sample_bytes: int, samples: int) -> int:
    """Return the bytes of stored chunks that are read with a block of samples, but belong to the next."""
    if chunk > samples:
        return (chunk + samples) * sample_bytes
    return 0 if samples % chunk == 0 else samples // chunk * chunk * sample_bytes


def _kinds(formed: Pass) -> dict[int, set[tuple[str, str, Grid]]]:
    """Return how each layer enters which spaces: view, kind and grid."""
    kinds: dict[int, set[tuple[str, str, Grid]]] = defaultdict(set)
    for space in formed.spaces:
        for operand in space.operands:
            kinds[operand.layer].add((space.view, operand.kind, space.grid))
    return kinds


def _sample_bytes(layer: LayerShape, kinds: set[tuple[str, str, Grid]], item: int) -> int:
    """Return what a sample of one layer takes until its rows lie in their panels.

    As stored, and of the layer that is read meanwhile as stored, in its compressed bytes and joined from two chunks;
    float16 widened; rows that no panel holds, or that are flattened; and between the two axes of a resize.
    """
    values = prod(layer.shape)
    home = any((view, kind) == ("positions", "native") for view, kind, _ in kinds)
    flattened = any(view == "flatten" for view, _, _ in kinds)
    between = max((_between(layer, grid) for _, kind, grid in kinds if kind != "native"), default=0)
    widened = 4 * values if layer.itemsize == 2 else 0
    scratch = item * values * ((not home) + 2 * flattened)
    return 4 * layer.sample_bytes + scratch + max(widened, item * between)


def _between(layer: LayerShape, grid: Grid) -> int:
    """Return how many numbers of a sample are formed between the axes of a resize, or copied for a dense one."""
    if len(layer.grid) == len(grid) == 2:
        (height, wide), (to_height, to_wide) = layer.grid, grid
        return layer.shape[0] * max(to_height * wide, height * to_wide)
    return width(layer, "positions") * (n_positions(layer.grid) + n_positions(grid))


def leaf_bytes(
    layers: Sequence[LayerShape], formed: Pass, splits: Sequence[SplitShape], precision: Precision
) -> int:
    """Return what the leaves of a pass take in the folder of summaries, on all splits."""
    products = sum(_band_products(layers, formed, band) for band in formed.bands)
    own = sum(width(layers[own.layer], own.view) ** 2 for own in formed.owns)
    columns = sum(space_width(layers, space) for space in formed.spaces if space.leaf_samples is not None)
    leaves, samples = sum(len(split.leaves()) for split in splits), sum(split.n_samples for split in splits)
    return FLOAT_BYTES * leaves * (products + own) + ITEM_BYTES[precision] * samples * columns
