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
        For each run of targets which pairs are wanted, ``[targets, sources, 2]``, a bit for each.
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
        of_sources, starts = np.array(list(chain.from_iterable(sources))), _starts(sources)
        counts, packed = [0], list[bytes]()
        for run in targets:
            both = wanted_of(tile, of_sources, np.array(run), wanted)
            counts.append(int(_has_pairs(both, starts).sum()))
            packed.append(np.packbits(both).tobytes())
        return cls(number, targets, sources, tuple(accumulate(counts)), tuple(packed))

    def __len__(self) -> int:
        return self.first[-1]

    def __iter__(self) -> Iterator[Chunk]:
        starts = _starts(self.sources)
        for row, both in enumerate(self._rows()):
            for column in np.flatnonzero(_has_pairs(both, starts)).tolist():
                yield self._cut(row, column, both, starts)

    def chunk(self, number: int) -> Chunk:
        """Return a chunk by its number."""
        row, starts = bisect_right(self.first, number) - 1, _starts(self.sources)
        both = self._row(row, sum(map(len, self.sources)))
        column = int(np.flatnonzero(_has_pairs(both, starts))[number - self.first[row]])
        return self._cut(row, column, both, starts)

    @property
    def n_pairs(self) -> int:
        """How many directed pairs there are."""
        return int(np.bitwise_count(np.frombuffer(b"".join(self.packed), np.uint8)).sum(dtype=np.int64))

    def counts(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield for each run of targets how many pairs it has with each run of sources."""
        starts = _starts(self.sources)
        for both in self._rows():
            into, back = both.view(np.uint8).sum(axis=0, dtype=np.uint16).T
            yield np.add.reduceat((into + back).astype(np.int64), starts)

    def sizes(self, widths: Mapping[int, int]) -> dict[tuple[int, int], int]:
        """Return how many pairs there are of each two widths, source first, given those of the tile's layers."""
        held = np.zeros(max(widths) + 1, np.int64)
        held[list(widths)] = list(widths.values())
        known, kinds = np.unique(held, return_inverse=True)
        counts = np.zeros((len(known), len(known)), np.int64)
        of_sources = kinds[list(chain.from_iterable(self.sources))]
        for run, rows in zip(self.targets, self._rows(), strict=True):
            for target, both in zip(run, rows, strict=True):
                forth, back = (np.bincount(of_sources[wanted], minlength=len(known)) for wanted in both.T)
                counts[:, kinds[target]] += forth
                counts[kinds[target]] += back
        return {(int(known[p]), int(known[q])): int(counts[p, q]) for p, q in np.argwhere(counts).tolist()}

    def _rows(self) -> Iterator[Matrix]:
        """Yield which pairs of each run of targets are wanted, ``[targets, sources, 2]``."""
        n_sources = sum(map(len, self.sources))
        return (self._row(row, n_sources) for row in range(len(self.targets)))

    def _row(self, row: int, n_sources: int) -> Matrix:
        shape = len(self.targets[row]), n_sources, 2
        bits = np.frombuffer(self.packed[row], np.uint8)
        return np.unpackbits(bits, count=shape[0] * shape[1] * 2).view(np.bool_).reshape(shape)

    def _cut(self, row: int, column: int, both: Matrix, starts: npt.NDArray[np.int64]) -> Chunk:
        start, sources = starts[column], self.sources[column]
        return Chunk.of(self.tile, None, sources, self.targets[row], both[:, start : start + len(sources)])


def _starts(runs: Sequence[Run]) -> npt.NDArray[np.int64]:
    """Return where each run begins among all layers of its side, ``[runs]``."""
    return np.cumsum([0, *map(len, runs)], dtype=np.int64)[:-1]


def _has_pairs(both: Matrix, starts: npt.NDArray[np.int64]) -> Matrix:
    """Return which runs of sources have a pair, ``[runs]``, given which pairs are wanted, ``[targets, sources, 2]``."""
    of_sources = both[:, :, 0].any(axis=0) | both[:, :, 1].any(axis=0)
    return np.asarray(np.logical_or.reduceat(of_sources, starts))


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
