"""What a comparison will read, form and hold: integers in, plan out. Nothing is opened or computed here.

All layers of a pass are read once. From each block of rows the pass forms, for every grid, the cross-moments
of all sources with the targets that live on that grid (a *tile*) and each layer's own moments on that grid.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError
from stitchpipe.rows import Grid, View, result_grid, rows_per_sample, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLOAT_BYTES = 8
LEAVES = 8
"""Leaves of the merge tree per split: fixed, so that workers and memory change the schedule, never the sums."""
STATE_COPIES = 3
"""A merge holds both operands and the result."""


class PlanError(ExplainedError, ValueError):
    """A comparison cannot be carried out within the limits: says which pair, what it needs and what to change."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What the plan needs to know of a layer; `fingerprints` are those of its dumps, one per split."""

    model: str
    layer: str
    fingerprints: tuple[str, ...]
    shape: tuple[int, ...]
    itemsize: int

    @property
    def sample_bytes(self) -> int:
        """Return the bytes of one stored sample, before compression."""
        size = self.itemsize
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True, slots=True)
class SplitShape:
    """A split's size: its row groups, as (start, stop)."""

    dataset: str
    name: str
    row_groups: tuple[tuple[int, int], ...]

    @property
    def n_samples(self) -> int:
        """Return the number of samples."""
        return self.row_groups[-1][1]

    @property
    def largest(self) -> int:
        """Return the number of samples in the largest row group."""
        return max(stop - start for start, stop in self.row_groups)

    def leaves(self) -> tuple[tuple[int, ...], ...]:
        """Return the row groups of each leaf of the merge tree: contiguous, in order, as even as can be."""
        count = len(self.row_groups)
        leaves = min(LEAVES, count)
        edges = [count * leaf // leaves for leaf in range(leaves + 1)]
        return tuple(tuple(range(a, b)) for a, b in itertools.pairwise(edges))


@dataclass(frozen=True, slots=True)
class Tile:
    """A block of layer pairs on one grid; `sources` and `targets` index the plan's layers."""

    grid: Grid
    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """Tiles that are formed from one reading of their layers."""

    tiles: tuple[Tile, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers that the pass reads, each once."""
        return tuple(sorted({index for tile in self.tiles for index in (*tile.sources, *tile.targets)}))


@dataclass(frozen=True, slots=True)
class Cost:
    """Projected work of a plan, over all its splits."""

    pairs: int
    bytes_read: int
    flops: int
    peak_bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.pairs + other.pairs,
            self.bytes_read + other.bytes_read,
            self.flops + other.flops,
            max(self.peak_bytes, other.peak_bytes),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """One view's comparison: layers, the splits to accumulate over, and the passes."""

    view: View
    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    passes: tuple[Pass, ...]
    block_samples: int
    cost: Cost

    def width(self, index: int) -> int:
        """Return the number of features of layer `index`."""
        return _width(self.layers[index], self.view)


def make_plan(
    layers: Sequence[LayerShape],
    pairs: Mapping[int, Sequence[int]],
    *,
    view: View,
    splits: Sequence[SplitShape],
    memory_limit_bytes: int,
) -> Plan:
    """Plan the comparison of `pairs` (target → its sources, as indices of `layers`).

    Parameters
    ----------
    memory_limit_bytes
        What one worker may hold. Half is for moments (three copies of a pass's state), half for rows.

    Raises
    ------
    PlanError
        The moments of a single pair do not fit.

    Notes
    -----
    Reads Σ over passes of the passes' layers; flops 2·n_rows·(Σ over tiles P_s·P_t + Σ own p²);
    O(number of pairs) time.
    """
    layers = tuple(layers)
    budget = memory_limit_bytes // 2
    tiles = [
        part
        for tile in _tiles(layers, pairs, view)
        for part in _split(tile, layers, view, budget, memory_limit_bytes)
    ]
    passes = tuple(_pack(tiles, layers, view, budget))
    samples = _block_samples(passes, layers, view, splits, budget)
    cost = _cost(passes, layers, view, splits, samples)
    return Plan(view, layers, tuple(splits), passes, samples, cost)


def _width(layer: LayerShape, view: View) -> int:
    return width_of(layer.shape, view)


def _tiles(layers: Sequence[LayerShape], pairs: Mapping[int, Sequence[int]], view: View) -> list[Tile]:
    """Group targets that share a grid and a list of sources."""
    groups: dict[tuple[Grid, tuple[int, ...]], list[int]] = {}
    for target, sources in sorted(pairs.items()):
        key = (result_grid(view, layers[target].shape), tuple(sorted(sources)))
        groups.setdefault(key, []).append(target)
    return [Tile(grid, sources, tuple(targets)) for (grid, sources), targets in groups.items()]


def _state_bytes(tiles: Sequence[Tile], layers: Sequence[LayerShape], view: View) -> int:
    """Return the bytes of the moments of `tiles`: cross-moments, and each layer's own moments once a grid."""
    total = 0
    for tile in tiles:
        wide = [sum(_width(layers[i], view) + 1 for i in side) for side in (tile.sources, tile.targets)]
        total += wide[0] * wide[1]
    own = {(index, tile.grid) for tile in tiles for index in (*tile.sources, *tile.targets)}
    total += sum((_width(layers[index], view) + 1) ** 2 for index, grid in own)
    return total * FLOAT_BYTES


def _split(tile: Tile, layers: Sequence[LayerShape], view: View, budget: int, limit: int) -> list[Tile]:
    """Halve a tile, its longer side first, until its state fits."""
    needed = STATE_COPIES * _state_bytes([tile], layers, view)
    if needed <= budget:
        return [tile]
    if len(tile.sources) == len(tile.targets) == 1:
        source, target = layers[tile.sources[0]], layers[tile.targets[0]]
        raise PlanError(
            where=f"{source.model}/{source.layer} into {target.model}/{target.layer}, view '{view}'",
            expected=f"moments within half of memory_limit_bytes = {limit}",
            found=f"{needed} bytes",
            remedy=f"Set run.memory_limit_bytes to at least {2 * needed}, or compare under the view 'pooled'.",
        )
    if len(tile.sources) >= len(tile.targets):
        half = len(tile.sources) // 2
        parts = [Tile(tile.grid, side, tile.targets) for side in (tile.sources[:half], tile.sources[half:])]
    else:
        half = len(tile.targets) // 2
        parts = [Tile(tile.grid, tile.sources, side) for side in (tile.targets[:half], tile.targets[half:])]
    return [small for part in parts for small in _split(part, layers, view, budget, limit)]


def _pack(tiles: Sequence[Tile], layers: Sequence[LayerShape], view: View, budget: int) -> list[Pass]:
    """Put tiles into as few passes as memory allows, in order."""
    passes: list[list[Tile]] = []
    for tile in tiles:
        if passes and STATE_COPIES * _state_bytes([*passes[-1], tile], layers, view) <= budget:
            passes[-1].append(tile)
        else:
            passes.append([tile])
    return [Pass(tuple(group)) for group in passes]


def _row_bytes(step: Pass, layers: Sequence[LayerShape], view: View) -> int:
    """Return the bytes of rows that one sample becomes on the widest grid of a pass, and their centred copy."""
    widest = 0
    for tile in step.tiles:
        columns = sum(_width(layers[i], view) + 1 for i in {*tile.sources, *tile.targets})
        widest = max(widest, columns * rows_per_sample(view, tile.grid))
    return 3 * FLOAT_BYTES * widest


def _block_samples(
    passes: Sequence[Pass],
    layers: Sequence[LayerShape],
    view: View,
    splits: Sequence[SplitShape],
    budget: int,
) -> int:
    """Return how many samples become rows at a time."""
    largest = max(split.largest for split in splits)
    per_sample = max(_row_bytes(step, layers, view) for step in passes)
    return max(1, min(largest, budget // 2 // per_sample))


def _cost(
    passes: Sequence[Pass],
    layers: Sequence[LayerShape],
    view: View,
    splits: Sequence[SplitShape],
    block_samples: int,
) -> Cost:
    samples = sum(split.n_samples for split in splits)
    largest = max(split.largest for split in splits)
    total = Cost(0, 0, 0, 0)
    for step in passes:
        raw = sum(layers[index].sample_bytes for index in step.layers)
        flops = 0
        for tile in step.tiles:
            wide = [sum(_width(layers[i], view) + 1 for i in side) for side in (tile.sources, tile.targets)]
            own = sum((_width(layers[i], view) + 1) ** 2 for i in {*tile.sources, *tile.targets})
            flops += 2 * rows_per_sample(view, tile.grid) * (wide[0] * wide[1] + own)
        peak = (
            largest * raw
            + block_samples * _row_bytes(step, layers, view)
            + STATE_COPIES * _state_bytes(step.tiles, layers, view)
        )
        pairs = sum(len(tile.sources) * len(tile.targets) for tile in step.tiles)
        total += Cost(pairs, samples * raw, samples * flops, peak)
    return total
