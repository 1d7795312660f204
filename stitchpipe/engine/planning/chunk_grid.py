"""The chunks of a pass as a sequence that makes each when it is asked for: a large zoo has millions of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Self, overload

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.chunks import Chunk, Run, wanted_of

if TYPE_CHECKING:
    from stitchpipe.engine.planning.pairs import Matrix
    from stitchpipe.engine.planning.tiles import Tile


@dataclass(frozen=True, slots=True)
class ChunkGrid:
    """The chunks of a tile whose leaves keep rows: each run of targets with each run of sources that it has pairs with.

    What is decomposed once serves a whole run.

    Attributes
    ----------
    tile
        Its number in the pass.
    targets, sources
        The runs of either side.
    first
        How many chunks there are before those of each run of targets, and last how many in all.
    packed
        For each target which pairs are wanted, ``[sources, 2]``, a bit for each, sources in the order of the runs.
    """

    tile: int
    targets: tuple[Run, ...]
    sources: tuple[Run, ...]
    first: tuple[int, ...]
    packed: tuple[bytes, ...]

    @classmethod
    def of(
        cls, number: int, tile: Tile, wanted: Matrix, targets: tuple[Run, ...], sources: tuple[Run, ...]
    ) -> Self:
        """Return the chunks of a tile's pairs, given all that are wanted, ``[layers, layers]``, source first."""
        of_sources = tuple(chain.from_iterable(sources))
        counts, packed = [0], list[bytes]()
        for run in targets:
            both = wanted_of(tile, of_sources, run, wanted)
            counts.append(int(_has_pairs(both, sources).sum()))
            packed += [row.tobytes() for row in np.packbits(both.reshape(len(run), -1), axis=1)]
        return cls(number, targets, sources, tuple(accumulate(counts)), tuple(packed))

    def __len__(self) -> int:
        return self.first[-1]

    def chunk(self, number: int) -> Chunk:
        """Return a chunk by its number."""
        row = bisect_right(self.first, number) - 1
        both = self._rows(row)
        column = int(np.flatnonzero(_has_pairs(both, self.sources))[number - self.first[row]])
        return self._cut(row, column, both, _starts(self.sources))

    def __iter__(self) -> Iterator[Chunk]:
        starts = _starts(self.sources)
        for row in range(len(self.targets)):
            both = self._rows(row)
            for column in np.flatnonzero(_has_pairs(both, self.sources)).tolist():
                yield self._cut(row, column, both, starts)

    def counts(self) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield each run of targets, by number, with how many pairs it has with each run of sources."""
        for row in range(len(self.targets)):
            pairs = self._rows(row).sum(axis=(0, 2))
            yield row, np.add.reduceat(pairs, _starts(self.sources))

    def sizes(self, widths: Mapping[int, int]) -> dict[tuple[int, int], int]:
        """Return how many pairs there are of each two widths, source first, given those of the tile's layers."""
        held = np.zeros(max(widths) + 1, np.int64)
        held[list(widths)] = list(widths.values())
        known, kinds = np.unique(held, return_inverse=True)
        counts = np.zeros((len(known), len(known)), np.int64)
        of_sources = kinds[list(chain.from_iterable(self.sources))]
        for row, run in enumerate(self.targets):
            for target, both in zip(run, self._rows(row), strict=True):
                forth, back = (np.bincount(of_sources[wanted], minlength=len(known)) for wanted in both.T)
                counts[:, kinds[target]] += forth
                counts[kinds[target]] += back
        return {(int(known[p]), int(known[q])): int(counts[p, q]) for p, q in np.argwhere(counts).tolist()}

    def _rows(self, row: int) -> Matrix:
        """Return which pairs of a run of targets are wanted, ``[targets, sources, 2]``."""
        start = sum(map(len, self.targets[:row])) if row else 0
        count = sum(map(len, self.sources))
        bits = [
            np.frombuffer(self.packed[start + place], np.uint8) for place in range(len(self.targets[row]))
        ]
        return np.unpackbits(np.stack(bits), axis=1, count=2 * count).view(np.bool_).reshape(-1, count, 2)

    def _cut(self, row: int, column: int, both: Matrix, starts: Sequence[int]) -> Chunk:
        start, sources = starts[column], self.sources[column]
        return Chunk.of(self.tile, None, sources, self.targets[row], both[:, start : start + len(sources)])


def _starts(runs: Sequence[Run]) -> list[int]:
    return list(accumulate(map(len, runs), initial=0))[:-1]


def _has_pairs(both: Matrix, sources: Sequence[Run]) -> Matrix:
    """Return which runs of sources have a pair, ``[runs]``, given which pairs are wanted, ``[targets, sources, 2]``."""
    return np.asarray(np.logical_or.reduceat(both.any(axis=(0, 2)), _starts(sources)))


@dataclass(frozen=True, slots=True)
class Chunks(Sequence[Chunk]):
    """All chunks of a pass, in order.

    Attributes
    ----------
    of_tiles
        Of each tile: those of its bands, or the grid of those that leaves keep rows for.
    """

    of_tiles: tuple[tuple[Chunk, ...] | ChunkGrid, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.of_tiles))

    def __iter__(self) -> Iterator[Chunk]:
        return chain.from_iterable(self.of_tiles)

    @overload
    def __getitem__(self, number: int) -> Chunk: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Chunk]: ...
    def __getitem__(self, number: int | slice) -> Chunk | Sequence[Chunk]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        for of_tile in self.of_tiles:
            if 0 <= number < len(of_tile):
                return of_tile.chunk(number) if isinstance(of_tile, ChunkGrid) else of_tile[number]
            number -= len(of_tile)
        raise IndexError(number)

    @property
    def of_products(self) -> Iterator[tuple[int, Chunk]]:
        """The chunks of bands, whose leaves keep products, with their numbers."""
        first = 0
        for of_tile in self.of_tiles:
            if not isinstance(of_tile, ChunkGrid):
                yield from enumerate(of_tile, first)
            first += len(of_tile)

    @property
    def grids(self) -> list[ChunkGrid]:
        """The grids of the tiles whose leaves keep rows."""
        return [of_tile for of_tile in self.of_tiles if isinstance(of_tile, ChunkGrid)]
