"""How the pairs of a tile are cut into tasks that finalise them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.tiles import Pair, Tile, side_width, width
from stitchpipe.rows import View, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.engine.planning.shapes import LayerShape

CHUNK_FLOPS: Final = 2e10
"""Work of a task that finalises pairs, about: one or two seconds, so that a scheduler's share is small."""
CHUNK_PRODUCTS: Final = 2**21
"""Numbers of the products, or of the rows of a side, of such a task from which on no further layer is added to it."""
FEWEST_PRODUCTS: Final = 2**14
"""The same, however little memory there is."""
CHUNK_COPIES: Final = 40
"""How often the moments of such a task are held at once, at most: on two splits, merged, stacked, decomposed."""
SHARING_LAYERS: Final = 4
"""With fewer layers on either side a task may be sixteen times as much work: decompositions are shared."""
PAIR_FLOPS: Final = 1e6
"""What a pair costs however narrow it is."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Pairs that are finalised as one: adjacent targets with adjacent sources.

    Attributes
    ----------
    tile, band
        Their numbers in the pass; no band where leaves keep rows.
    sources
        The band's, and of a symmetric tile its targets. Where leaves keep rows, a run of the tile's.
    targets
        Whose rows of the band's sums are needed.
    packed
        The directed pairs as bytes: a plan of a million of them travels to every worker.
    """

    tile: int
    band: int | None
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    packed: bytes

    @classmethod
    def of(
        cls,
        tile: int,
        band: int | None,
        sources: tuple[int, ...],
        targets: tuple[int, ...],
        pairs: Sequence[Pair],
    ) -> Self:
        """Return the chunk of some pairs, those of both directions side by side."""
        return cls(tile, band, sources, targets, np.array(pairs, np.int32).reshape(-1, 2).tobytes())

    @property
    def pairs(self) -> npt.NDArray[np.int32]:
        """The directed pairs, ``[m, 2]``, source first."""
        return np.frombuffer(self.packed, np.int32).reshape(-1, 2)

    def sizes(self, widths: Mapping[int, int]) -> dict[tuple[int, int], int]:
        """Return how many pairs there are of each two widths, given those of the chunk's layers."""
        held = np.zeros(max(widths) + 1, np.int64)
        held[list(widths)] = list(widths.values())
        sizes, counts = np.unique(held[self.pairs], axis=0, return_counts=True)
        return {(p, q): count for (p, q), count in zip(sizes.tolist(), counts.tolist(), strict=True)}


@dataclass(frozen=True, slots=True)
class Cutting:
    """What decides how the pairs of a pass are cut into tasks.

    Attributes
    ----------
    n_samples
        Of the split that is scored: directions are no more than rows.
    all_samples
        Of all splits: so many rows are held of each layer whose leaves keep rows.
    evaluations
        How often each pair is evaluated: once, and with intervals once more without each leaf.
    leaf_samples
        The views whose leaves keep rows, and how many samples the largest leaf has.
    coordinates
        The views under which rows are held in coordinates where they have more features, and in how many.
    products
        Numbers of a task's products from which on no further layer is added to it.
    """

    n_samples: int = 2**31
    all_samples: int = 0
    evaluations: int = 1
    leaf_samples: Mapping[View, int] = field(default_factory=dict)
    coordinates: Mapping[View, int] = field(default_factory=dict)
    products: int = CHUNK_PRODUCTS

    def pair_flops(self, p: int, q: int, rows_per_sample: int = 1) -> float:
        """Return about what one evaluation of a pair costs: decompositions of its widths, or of fewer rows."""
        return 40.0 * min(max(p, q), self.n_samples * rows_per_sample) ** 3 + PAIR_FLOPS


Run = tuple[tuple[int, ...], tuple[Pair, ...]]
"""Adjacent targets, and the pairs of their chunk."""


def runs_of(layers: Sequence[LayerShape], tile: Tile, wanted: frozenset[Pair], cutting: Cutting) -> list[Run]:
    """Cut a tile's targets into runs that are work for a task, each with all sources."""
    runs: list[Run] = []
    columns = side_width(layers, tile.view, tile.sources)
    widest = max(width(layers[source], tile.view) for source in tile.sources)
    start, pairs, products, flops = 0, list[Pair](), 0, 0.0
    for stop, target in enumerate(tile.targets, 1):
        # Of a symmetric product the upper triangle holds every pair once.
        sources = tile.sources[:stop] if tile.symmetric else tile.sources
        pairs += _wanted_pairs(tile, sources, target, wanted)
        q = width(layers[target], tile.view)
        products += columns * q
        flops += len(sources) * cutting.evaluations * cutting.pair_flops(widest, q, _rows(tile))
        most = CHUNK_FLOPS if stop - start >= SHARING_LAYERS else SHARING_LAYERS**2 * CHUNK_FLOPS
        if flops >= most or products >= cutting.products or stop == len(tile.targets):
            runs.append((tile.targets[start:stop], tuple(pairs)))
            start, pairs, products, flops = stop, [], 0, 0.0
    return runs


def blocks_of(
    layers: Sequence[LayerShape], number: int, tile: Tile, wanted: frozenset[Pair], cutting: Cutting
) -> list[Chunk]:
    """Cut a tile into chunks of a run of targets with a run of sources: what is decomposed once serves a whole run."""
    of_targets, of_sources = (
        _even_runs(layers, tile, side, cutting) for side in (tile.targets, tile.sources)
    )
    blocks = []
    for place, targets in enumerate(of_targets):
        for sources in of_sources[: place + 1] if tile.symmetric else of_sources:
            pairs = [
                pair
                for at, target in enumerate(targets, 1)
                for pair in _wanted_pairs(
                    tile, sources[:at] if tile.symmetric and sources == targets else sources, target, wanted
                )
            ]
            if pairs:
                blocks.append(Chunk.of(number, None, sources, targets, pairs))
    return blocks


def _even_runs(
    layers: Sequence[LayerShape], tile: Tile, members: Sequence[int], cutting: Cutting
) -> list[tuple[int, ...]]:
    """Cut layers into runs such that a run with another is work for a task."""
    runs: list[list[int]] = [[]]
    columns, features, load = 0, 0, 0.0
    for member in members:
        full = width(layers[member], tile.view)
        p = min(full, cutting.coordinates.get(tile.view, full) + 1)
        # The work of a block is that of its pairs: a side's share of it is the root.
        share = sqrt(cutting.evaluations * cutting.pair_flops(p, p, _rows(tile)) / CHUNK_FLOPS)
        numbers = max((columns + p) ** 2, (features + full) * cutting.all_samples)
        most = 1.0 if len(runs[-1]) >= SHARING_LAYERS else SHARING_LAYERS
        if runs[-1] and (load + share > most or numbers > cutting.products):
            runs.append([])
            columns, features, load = 0, 0, 0.0
        runs[-1].append(member)
        columns, features, load = columns + p, features + full, load + share
    return [tuple(run) for run in runs]


def _wanted_pairs(tile: Tile, sources: Sequence[int], target: int, wanted: frozenset[Pair]) -> list[Pair]:
    """Return the wanted pairs that the products of some sources with a target serve."""
    return [pair for source in sources for pair in _directions(tile, source, target) if pair in wanted]


def _rows(tile: Tile) -> int:
    return rows_per_sample(tile.view, tile.grid)


def _directions(tile: Tile, source: int, target: int) -> tuple[Pair, ...]:
    """Return the pairs that a product serves: both directions where neither side is resized."""
    if tile.mutual and source != target:
        return (source, target), (target, source)
    return ((source, target),)
