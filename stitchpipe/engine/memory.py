"""What one worker holds while it forms a leaf of a pass, or finalises a chunk of it: a sum over arrays."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from stitchpipe.algebra.backends.numpy_backend import COPIED
from stitchpipe.engine.steps import adjacent, operand, own_operand, panel_samples, space_width
from stitchpipe.engine.tiles import on_diagonal, width
from stitchpipe.rows import grid_of, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.algebra.description import Index
    from stitchpipe.engine.shapes import LayerShape
    from stitchpipe.engine.steps import Blocks, Chunk, Operand, Pass, Space

Precision = Literal["float64", "float32"]

FLOAT_BYTES = 8
ITEM_BYTES: Final[dict[Precision, int]] = {"float64": 8, "float32": 4}
WORKER_BYTES = 160 * 2**20
"""A worker's interpreter and libraries, before any work (seen: 120-150 MiB)."""
BACKEND_BYTES: Final[dict[BackendName, int]] = {"numpy": 0, "torch": 512 * 2**20}
"""What an array library adds to that (torch with CUDA's libraries, seen: 390 MiB, or 500 that are shared)."""


class Evaluation(NamedTuple):
    """What is computed of each pair, as far as memory and time depend on it.

    Attributes
    ----------
    intervals
        Whether each pair is finalised once more for every group of the jackknife.
    families
        How many kinds of maps are fitted, and kept meanwhile.
    """

    intervals: bool = False
    families: int = 1

    @classmethod
    def of(cls, indices: Iterable[Index], *, intervals: bool) -> Evaluation:
        """Return the evaluation of some indices."""
        return cls(intervals, len({(index.family, index.parameter) for index in indices if index.held_out}))


MOMENTS_ONLY: Final = Evaluation()
"""No intervals, and one kind of maps."""


class Leaves(NamedTuple):
    """How many splits are read, 2 where maps are fitted on another than they are scored on; leaves of the last."""

    splits: int
    leaves: int


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
    """

    layers: Sequence[LayerShape]
    work: Pass
    precision: Precision
    sums: int
    copies: int
    chunk: int

    @classmethod
    def of(
        cls,
        layers: Sequence[LayerShape],
        work: Pass,
        precision: Precision,
        leaves: Leaves,
        evaluation: Evaluation,
    ) -> Held:
        """Count the arrays of a pass."""
        own = {one: width(layers[one.layer], one.view) ** 2 for one in work.owns}
        apart = {one: size for one, size in own.items() if on_diagonal(work.tiles, one) is None}
        products = [_band_products(layers, work, number) for number in range(len(work.bands))]
        means = {
            (one.view, one.layer): width(layers[one.layer], one.view)
            * (prod(grid_of(layers[one.layer].shape)) if one.view == "positions" else 1)
            for one in work.owns
        }
        # In float32 a block's product is formed beside its sum before it is added.
        spare = max(products, default=0) // 2 if precision == "float32" else 0
        return cls(
            layers,
            work,
            precision,
            sums=FLOAT_BYTES * (sum(products) + sum(apart.values()) + sum(means.values()) + spare),
            copies=FLOAT_BYTES * (sum(own.values()) - sum(apart.values())),
            chunk=max(
                (_chunk_bytes(layers, work, chunk, leaves, evaluation) for chunk in work.chunks), default=0
            ),
        )

    def peak_bytes(self, blocks: Blocks) -> int:
        """Return the most that is held at once, where rows are formed in such blocks."""
        return max(self.sums + max(self._rows_bytes(blocks), self.copies), self.chunk)

    def _rows_bytes(self, blocks: Blocks) -> int:
        """Return the bytes of the panels, of what stored chunks leave over, and of the largest layer's scratch."""
        item, work = ITEM_BYTES[self.precision], self.work
        panels = sum(
            space_width(self.layers, space) * panel_samples(space, blocks) * _rows(space)
            for space in work.spaces
        )
        over = sum(_left_over(self.layers[index], blocks.samples) for index in work.layers)
        block = max((_block_bytes(self, index, blocks.samples) for index in work.layers), default=0)
        return item * panels + over + max(block, item * self._flushed(blocks))

    def _flushed(self, blocks: Blocks) -> int:
        """Return how many numbers are copied at most to multiply what the panels hold."""
        layers, work = self.layers, self.work
        spaces = {(space.view, space.work): space for space in work.spaces}
        found = [0]
        for tile in work.tiles:
            space = spaces[tile.view, tile.work]
            rows = panel_samples(space, blocks) * _rows(space)
            sides: list[list[Operand]] = [
                [operand(layers, tile, index, "source") for index in tile.sources],
                [operand(layers, tile, index, "target") for index in tile.targets],
            ]
            columns = [sum(width(layers[one.layer], tile.view) for one in side) for side in sides]
            apart = [not adjacent(space, side) for side in sides]
            copied = min(rows, COPIED) if self.precision == "float64" else 0
            joined = columns[1] * apart[1] + (0 if tile.symmetric else columns[0] * apart[0])
            found.append(rows * joined + copied * sum(columns))
        for own in work.owns:
            place, _ = own_operand(layers, own)
            if on_diagonal(work.tiles, own) is None and place != own.grid:
                space = spaces[own.view, place]
                rows = panel_samples(space, blocks) * _rows(space)
                found.append(2 * rows * width(layers[own.layer], own.view))
        return max(found)


def _rows(space: Space) -> int:
    return rows_per_sample(space.view, space.work)


def _band_products(layers: Sequence[LayerShape], work: Pass, number: int) -> int:
    """Return how many numbers the sums of a band are."""
    band = work.bands[number]
    tile = work.tiles[band.tile]
    p, q = (sum(width(layers[index], tile.view) for index in side) for side in (band.sources, band.targets))
    return q * (p + q if tile.symmetric else p)


def _left_over(layer: LayerShape, samples: int) -> int:
    """Return the bytes of stored chunks that are read with a block of samples, but belong to the next."""
    chunk = layer.chunk_samples
    if chunk > samples:
        return (chunk + samples) * layer.sample_bytes
    return 0 if samples % chunk == 0 else samples // chunk * chunk * layer.sample_bytes


def _block_bytes(held: Held, index: int, samples: int) -> int:
    """Return what one layer's block takes until its rows lie in their panels.

    As stored, in its compressed bytes and joined from two chunks; float16 widened; rows that no panel holds, or that
    are flattened; and between the two axes of a resize.
    """
    layer, item = held.layers[index], ITEM_BYTES[held.precision]
    values = prod(layer.shape)
    home, between, flattened = False, 0, False
    for space in held.work.spaces:
        kinds = {one.kind for one in space.operands if one.layer == index}
        home |= space.view == "positions" and "native" in kinds
        flattened |= space.view == "flatten" and "native" in kinds
        if kinds & {"resized", "adjoint"}:
            between = max(between, layer.shape[0] * space.work[0] * layer.shape[2])
    widened = 4 * values if layer.itemsize == 2 else 0
    scratch = item * values * ((not home) + 2 * flattened)
    return samples * (3 * layer.sample_bytes + scratch + max(widened, item * between))


def _chunk_bytes(
    layers: Sequence[LayerShape], work: Pass, chunk: Chunk, leaves: Leaves, evaluation: Evaluation
) -> int:
    """Return what finalising a chunk holds at most: while leaves are merged, pairs evaluated, or leaves left out.

    A merge of leaves holds one part of each level of its tree, and three times the products of one; an evaluated pair
    its decompositions, and of a map that leaves little the joint moments of both sides.
    """
    view, splits = work.tiles[chunk.tile].view, leaves.splits
    wide = {index: width(layers[index], view) for index in (*chunk.sources, *chunk.targets)}
    cross = sum(wide[index] for index in chunk.sources) * sum(wide[index] for index in chunk.targets)
    own = sum(one * one for one in wide.values())
    moments, spectra = cross + own, own
    merging = (splits + (leaves.leaves - 1).bit_length()) * moments + 3 * cross
    sizes = {tuple(sorted((wide[source], wide[target]))) for source, target in chunk.pairs}
    pair = max(4 * q * q + 8 * (p + q) ** 2 if splits > 1 else 16 * q * q for p, q in sizes)
    kept = splits * (moments + spectra)
    found = max(merging, kept + pair)
    if evaluation.intervals and leaves.leaves > 1:
        maps = (
            evaluation.families
            * (splits - 1)
            * sum(wide[source] * wide[target] for source, target in chunk.pairs)
        )
        found = max(found, kept + maps + 3 * moments + 2 * spectra + max(pair, 3 * cross))
    return FLOAT_BYTES * found
