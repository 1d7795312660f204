"""How the pairs of a tile are cut into tasks that finalise them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.tiles import Tile, side_width, width
from stitchpipe.rows import View, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.engine.planning.pairs import Matrix
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

Run: TypeAlias = tuple[int, ...]
"""Adjacent layers of a side."""
Layers: TypeAlias = npt.NDArray[np.integer[Any]]
"""Layers by their numbers, ``[m]``."""


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
        Which directed pairs are wanted, a bit for each: ``[targets, sources, 2]``, into the target and back.
    """

    tile: int
    band: int | None
    sources: Run
    targets: Run
    packed: bytes

    @classmethod
    def of(cls, tile: int, band: int | None, sources: Run, targets: Run, wanted: Matrix) -> Self:
        """Return the chunk of the pairs that are `wanted`, ``[targets, sources, 2]``."""
        return cls(tile, band, sources, targets, np.packbits(wanted).tobytes())

    @property
    def wanted(self) -> Matrix:
        """Which directed pairs are wanted, ``[targets, sources, 2]``: into the target and back."""
        shape = len(self.targets), len(self.sources), 2
        bits = np.unpackbits(np.frombuffer(self.packed, np.uint8), count=shape[0] * shape[1] * 2)
        return bits.view(np.bool_).reshape(shape)

    @property
    def pairs(self) -> npt.NDArray[np.int32]:
        """The directed pairs, ``[m, 2]``, source first, those of both directions side by side."""
        at_target, at_source, is_back = np.nonzero(self.wanted)
        source, target = (
            np.array(side, np.int32)[places]
            for side, places in ((self.sources, at_source), (self.targets, at_target))
        )
        back = is_back.astype(np.bool_)
        return np.stack([np.where(back, target, source), np.where(back, source, target)], axis=1)

    def __len__(self) -> int:
        """Return how many directed pairs there are."""
        return int(np.bitwise_count(np.frombuffer(self.packed, np.uint8)).sum())

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


def runs_of(layers: Sequence[LayerShape], tile: Tile, cutting: Cutting) -> list[Run]:
    """Cut a tile's targets into runs that are work for a task, each with all sources."""
    runs: list[Run] = []
    columns = side_width(layers, tile.view, tile.sources)
    widest = max(width(layers[source], tile.view) for source in tile.sources)
    start, products, flops = 0, 0, 0.0
    for stop, target in enumerate(tile.targets, 1):
        # Of a symmetric product the upper triangle holds every pair once.
        sources = stop if tile.symmetric else len(tile.sources)
        q = width(layers[target], tile.view)
        products += columns * q
        flops += sources * cutting.evaluations * cutting.pair_flops(widest, q, _rows(tile))
        most = CHUNK_FLOPS if stop - start >= SHARING_LAYERS else SHARING_LAYERS**2 * CHUNK_FLOPS
        if flops >= most or products >= cutting.products or stop == len(tile.targets):
            runs.append(tile.targets[start:stop])
            start, products, flops = stop, 0, 0.0
    return runs


def even_runs(layers: Sequence[LayerShape], tile: Tile, members: Run, cutting: Cutting) -> tuple[Run, ...]:
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
    return tuple(map(tuple, runs))


def wanted_of(tile: Tile, sources: Layers, targets: Layers, wanted: Matrix) -> Matrix:
    """Return which pairs a tile's product of some sources with some targets serves: ``[targets, sources, 2]``.

    Both directions where neither side is resized, and of a symmetric tile what is on the diagonal or above it: there
    each product stands once.

    Parameters
    ----------
    wanted
        The pairs of all layers, ``[layers, layers]``, source first.
    """
    both = np.zeros((len(targets), len(sources), 2), np.bool_)
    both[:, :, 0] = wanted[np.ix_(sources, targets)].T
    if tile.mutual:
        both[:, :, 1] = wanted[np.ix_(targets, sources)] & (targets[:, None] != sources)
    if tile.symmetric:
        both &= (sources <= targets[:, None])[:, :, None]
    return both


def _rows(tile: Tile) -> int:
    return rows_per_sample(tile.view, tile.grid)
