"""What a comparison will read, form and hold: integers in, plan out. Nothing is opened or computed here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from stitchpipe.engine.passes import Wanted, assignments, passes_of
from stitchpipe.engine.tiles import (
    Own,
    Pair,
    Tile,
    comparable,
    native_grid,
    on_diagonal,
    owns_of,
    tiles_of,
    width,
)
from stitchpipe.errors import ExplainedError
from stitchpipe.rows import Grid, View, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.engine.shapes import LayerShape, SplitShape

Precision = Literal["float64", "float32"]

FLOAT_BYTES = 8
BLOCK_SAMPLES = 32
"""Samples that become rows at a time, where memory allows."""
LEAST_ROWS = 256
"""Rows of a product below which layers are rather read more often."""
PRODUCT_ROWS = 2048
"""Rows of a product, where memory allows: with fewer, reading and writing the sums would bound it."""
WORKER_BYTES = 160 * 2**20
"""A worker's interpreter and libraries, before any work (seen: 120-150 MiB)."""
BACKEND_BYTES: Final[dict[BackendName, int]] = {"numpy": 0, "torch": 512 * 2**20}
"""What an array library adds to that (torch with CUDA's libraries, seen: 390 MiB, or 500 that are shared)."""
CHUNK_PAIRS = 128
"""Pairs that are finalised as one task, at least, where a tile has as many."""


class PlanError(ExplainedError, ValueError):
    """A comparison cannot be carried out within the limits: says which pair, what it needs and what to change."""


class Operand(NamedTuple):
    """A layer as one side of a product: on its own grid, resized to a target's, or brought down by an adjoint."""

    layer: int
    kind: Literal["native", "resized", "adjoint"]


@dataclass(frozen=True, slots=True)
class Space:
    """All operands whose rows live on one grid of one view; they share a panel of rows."""

    view: View
    work: Grid
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Pairs of a tile that are finalised as one: adjacent targets with all the sources they need.

    Attributes
    ----------
    tile
        Number of the tile in its pass.
    sources, targets
        The rows and columns of the tile's product that are needed.
    pairs
        Directed pairs, those of both directions side by side.
    """

    tile: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    pairs: tuple[Pair, ...]


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
    """Tiles that are formed from one reading of their layers."""

    tiles: tuple[Tile, ...]
    chunks: tuple[Chunk, ...]
    owns: tuple[Own, ...]
    spaces: tuple[Space, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers that the pass reads, each once."""
        return tuple(sorted({index for tile in self.tiles for index in (*tile.sources, *tile.targets)}))


@dataclass(frozen=True, slots=True)
class Cost:
    """Projected work, over all splits.

    Attributes
    ----------
    pairs
        Directed pairs.
    bytes_read
        Stored bytes before compression.
    flops
        Of the distinct products: 2·rows·p·q each, half of that for a symmetric one.
    finalisation_flops
        Of decompositions and solves, at about 40·max(p, q)³ a pair and evaluation.
    peak_bytes
        Of one worker, its interpreter included.
    """

    pairs: int
    bytes_read: int
    flops: int
    finalisation_flops: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison: layers, the splits to accumulate over, and the passes.

    Attributes
    ----------
    incomparable
        Pairs that no resize puts on one grid, by view; they become results without a value.
    precision, backend
        Of the products of a block of rows, and the array library that forms them.
    """

    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    passes: tuple[Pass, ...]
    incomparable: tuple[tuple[View, Pair], ...]
    blocks: Blocks
    precision: Precision
    cost: Cost = field(compare=False)
    backend: BackendName = "numpy"

    def width(self, view: View, layer: int) -> int:
        """Return the columns of a layer, its norm column included."""
        return width(self.layers[layer], view)


def make_plan(
    layers: Sequence[LayerShape],
    wanted: Wanted,
    *,
    splits: Sequence[SplitShape],
    memory_limit_bytes: int,
    precision: Precision = "float64",
    intervals: bool = False,
    backend: BackendName = "numpy",
) -> Plan:
    """Plan the comparison of the `wanted` pairs.

    Parameters
    ----------
    memory_limit_bytes
        What one worker process may hold, its interpreter included.
    precision
        Of the products of a block of rows; sums are float64.
    intervals
        Whether each pair is finalised once more for every group of the jackknife.
    backend
        The array library that forms the products.

    Raises
    ------
    PlanError
        A single pair does not fit.

    Notes
    -----
    Reads Σ over passes of the passes' layers. Time O(pairs) for each way of dealing them out that is tried.
    """
    layers = tuple(layers)
    incomparable = tuple(
        (view, pair)
        for view, pairs in wanted.items()
        for pair in sorted(pairs)
        if not comparable(layers, view, pair)
    )
    possible = {
        view: frozenset(p for p in pairs if comparable(layers, view, p)) for view, pairs in wanted.items()
    }
    weights = [max((width(layer, view) for view in wanted), default=0) for layer in layers]
    largest = max(split.n_samples for split in splits)
    evaluations = 1 + (len(splits[-1].leaves()) if intervals else 0)
    library = BACKEND_BYTES[backend]
    for least_rows in (LEAST_ROWS, 1):  # rather read more than multiply slivers, rather that than give up
        for assignment in assignments(weights, possible):
            passes = tuple(_pass(layers, pairs) for pairs in passes_of(assignment, possible))
            room = memory_limit_bytes - library
            blocks = _blocks(passes, layers, room, precision, Blocks(largest, least_rows))
            if blocks is not None:
                cost = _cost(passes, layers, splits, blocks, precision, evaluations)
                cost = replace(cost, peak_bytes=cost.peak_bytes + library)
                return Plan(layers, tuple(splits), passes, incomparable, blocks, precision, cost, backend)
    raise _cannot_fit(passes, layers, memory_limit_bytes, precision, library)


def _pass(layers: tuple[LayerShape, ...], pairs: Wanted) -> Pass:
    """Return the tiles of some pairs and everything that follows from them."""
    tiles = tuple(tile for view, of_view in sorted(pairs.items()) for tile in tiles_of(layers, view, of_view))
    chunks = tuple(
        chunk for number, tile in enumerate(tiles) for chunk in _chunks(number, tile, pairs[tile.view])
    )
    owns = owns_of(tiles)
    return Pass(tiles, chunks, owns, _spaces(layers, tiles, owns))


def _chunks(number: int, tile: Tile, wanted: frozenset[Pair]) -> list[Chunk]:
    """Cut a tile into runs of adjacent targets with about `CHUNK_PAIRS` pairs each; runs without any are left out."""
    found: list[Chunk] = []
    place = {layer: position for position, layer in enumerate(tile.sources)}
    start, pairs = 0, list[Pair]()
    for stop, target in enumerate(tile.targets, 1):
        # Of a symmetric product the upper triangle holds every pair once.
        sources = tile.sources[: place[target] + 1] if tile.symmetric else tile.sources
        pairs += [pair for source in sources for pair in _directions(tile, source, target) if pair in wanted]
        if len(pairs) >= CHUNK_PAIRS or (pairs and stop == len(tile.targets)):
            found.append(Chunk(number, sources, tile.targets[start:stop], tuple(pairs)))
            start, pairs = stop, []
    return found


def _directions(tile: Tile, source: int, target: int) -> tuple[Pair, ...]:
    """Return the pairs that a product serves: both directions where neither side is resized."""
    if tile.mutual and source != target:
        return (source, target), (target, source)
    return ((source, target),)


def _spaces(
    layers: tuple[LayerShape, ...], tiles: tuple[Tile, ...], owns: tuple[Own, ...]
) -> tuple[Space, ...]:
    """Return the operands by grid, those of one side of a tile adjacent: their rows are then a slice of a panel."""
    members: dict[tuple[View, Grid], dict[Operand, None]] = {}
    for tile in sorted(tiles, key=lambda tile: not tile.symmetric):
        operands = members.setdefault((tile.view, tile.work), {})
        operands |= dict.fromkeys(operand(layers, tile, index, "target") for index in tile.targets)
        operands |= dict.fromkeys(operand(layers, tile, index, "source") for index in tile.sources)
    for own in owns:
        if on_diagonal(tiles, own) is None:
            place, wanted = own_operand(layers, own)
            members.setdefault((own.view, place), {})[wanted] = None
    return tuple(Space(view, work, tuple(operands)) for (view, work), operands in members.items())


def operand(
    layers: Sequence[LayerShape], tile: Tile, index: int, side: Literal["source", "target"]
) -> Operand:
    """Return how a layer enters a tile's product."""
    if native_grid(layers[index], tile.view) == tile.work:
        return Operand(index, "native")
    return Operand(index, "resized" if side == "source" else "adjoint")


def own_operand(layers: Sequence[LayerShape], own: Own) -> tuple[Grid, Operand]:
    """Return where a layer's own moments are formed, and from what: a downsampled layer there, others at home."""
    native = native_grid(layers[own.layer], own.view)
    if prod(native) >= prod(own.grid) and native != own.grid:
        return own.grid, Operand(own.layer, "resized")
    return native, Operand(own.layer, "native")


def space_width(layers: Sequence[LayerShape], space: Space) -> int:
    """Return the columns of a space's panel."""
    return sum(width(layers[operand.layer], space.view) for operand in space.operands)


def panel_samples(space: Space, blocks: Blocks) -> int:
    """Return how many samples a space's panel holds: whole blocks, enough for the rows of a product."""
    count = -(-blocks.rows // (blocks.samples * rows_per_sample(space.view, space.work)))
    return blocks.samples * max(1, count)


def _sides(layers: Sequence[LayerShape], tile: Tile) -> tuple[int, int]:
    return (
        sum(width(layers[index], tile.view) for index in tile.sources),
        sum(width(layers[index], tile.view) for index in tile.targets),
    )


def state_bytes(layers: Sequence[LayerShape], work: Pass) -> int:
    """Return the bytes of a pass's sums: products of tiles, own moments, sums by position."""
    products = sum(prod(_sides(layers, tile)) for tile in work.tiles)
    own = sum(width(layers[own.layer], own.view) ** 2 for own in work.owns)
    sums = sum(prod(layers[index].shape) for index in work.layers)
    return FLOAT_BYTES * (products + own + sums)


def _panel_bytes(layers: Sequence[LayerShape], work: Pass, blocks: Blocks, precision: Precision) -> int:
    """Return the bytes of the panels, of the largest layer's scratch rows, and of one block as stored."""
    item = FLOAT_BYTES if precision == "float64" else FLOAT_BYTES // 2
    panels = sum(
        space_width(layers, space) * panel_samples(space, blocks) * rows_per_sample(space.view, space.work)
        for space in work.spaces
    )
    largest = max(prod(layers[index].shape) for index in work.layers)
    stored = max(layers[index].sample_bytes for index in work.layers)
    return item * panels + blocks.samples * (3 * FLOAT_BYTES * largest + 2 * stored)


def _peak_bytes(layers: Sequence[LayerShape], work: Pass, blocks: Blocks, precision: Precision) -> int:
    """Return what a worker holds at most: in a leaf, or while it finalises the largest chunk of one."""
    state = state_bytes(layers, work)
    # In float32 a block's product is formed beside its sum before it is added.
    spare = state if precision == "float32" else 0
    leaf = state + spare + _panel_bytes(layers, work, blocks, precision)
    return WORKER_BYTES + max(leaf, *(_chunk_bytes(layers, work, chunk) for chunk in work.chunks))


def _chunk_bytes(layers: Sequence[LayerShape], work: Pass, chunk: Chunk) -> int:
    """Return what finalising a chunk holds: its moments of two splits, a leaf of each level of the merge, spectra."""
    view = work.tiles[chunk.tile].view
    sides = [sum(width(layers[index], view) for index in side) for side in (chunk.sources, chunk.targets)]
    members = {*chunk.sources, *chunk.targets}
    own = sum(width(layers[index], view) ** 2 for index in members)
    return FLOAT_BYTES * (8 * (prod(sides) + own) + 4 * own)


def _blocks(
    passes: Sequence[Pass], layers: Sequence[LayerShape], limit: int, precision: Precision, bounds: Blocks
) -> Blocks | None:
    """Return the largest blocks that stay within the limit, or None.

    `bounds` are the most samples, and the fewest rows of a product.
    """
    samples, rows = min(BLOCK_SAMPLES, bounds.samples), PRODUCT_ROWS
    while (
        max((_peak_bytes(layers, work, Blocks(samples, rows), precision) for work in passes), default=0)
        > limit
    ):
        if samples == 1 and rows == bounds.rows:
            return None
        samples, rows = (samples // 2, rows) if samples > 1 else (1, rows // 2)
    return Blocks(samples, rows)


def _cost(
    passes: Sequence[Pass],
    layers: Sequence[LayerShape],
    splits: Sequence[SplitShape],
    blocks: Blocks,
    precision: Precision,
    evaluations: int,
) -> Cost:
    samples = sum(split.n_samples for split in splits)
    return Cost(
        pairs=sum(len(chunk.pairs) for work in passes for chunk in work.chunks),
        bytes_read=samples * sum(layers[index].sample_bytes for work in passes for index in work.layers),
        flops=samples * sum(_flops(layers, work) for work in passes),
        finalisation_flops=evaluations * sum(_finalisation_flops(layers, work) for work in passes),
        peak_bytes=max(
            (_peak_bytes(layers, work, blocks, precision) for work in passes), default=WORKER_BYTES
        ),
    )


def _flops(layers: Sequence[LayerShape], work: Pass) -> int:
    """Return the flops of a pass for one sample."""
    flops = 0
    for tile in work.tiles:
        p, q = _sides(layers, tile)
        flops += rows_per_sample(tile.view, tile.work) * (p * (p + 1) if tile.symmetric else 2 * p * q)
    for own in work.owns:
        if on_diagonal(work.tiles, own) is None:
            p = width(layers[own.layer], own.view)
            flops += rows_per_sample(own.view, own_operand(layers, own)[0]) * p * (p + 1)
    return flops


def _finalisation_flops(layers: Sequence[LayerShape], work: Pass) -> int:
    return sum(
        40 * max(width(layers[index], work.tiles[chunk.tile].view) for index in pair) ** 3
        for chunk in work.chunks
        for pair in chunk.pairs
    )


def _cannot_fit(
    passes: Sequence[Pass], layers: Sequence[LayerShape], limit: int, precision: Precision, library: int
) -> PlanError:
    """Return the refusal of the pass that needs most, once passes are as small as they can be."""
    worst = max(passes, key=lambda work: _peak_bytes(layers, work, Blocks(1, 1), precision))
    needed = _peak_bytes(layers, worst, Blocks(1, 1), precision) + library
    chunk = worst.chunks[0]
    source, target = (layers[index] for index in chunk.pairs[0])
    view = worst.tiles[chunk.tile].view
    other = " or compare under the view 'pooled'" if view != "pooled" else ""
    return PlanError(
        where=f"{source.model}/{source.layer} into {target.model}/{target.layer}, view '{view}'",
        expected=f"a pair that fits into run.memory_limit_bytes = {limit}",
        found=f"{needed} bytes",
        remedy=f"Set run.memory_limit_bytes to at least {needed}{other}.",
    )
