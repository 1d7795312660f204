"""What the engine must know of layers and splits to plan: names, shapes, sizes. Nothing is opened here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from stitchpipe.algebra.samples import MOST_IMAGES
from stitchpipe.rows import grid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.rows import Grid

LEAVES = 20
"""Leaves of the merge tree per split at most, and groups of the jackknife: workers and memory never change them."""

STORAGE_EPS = {4: 2.0**-23, 2: 2.0**-10, 8: 2.0**-52}
"""Relative spacing of stored numbers by item size: directions below it are rounding, not representation."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer as the plan sees it.

    Attributes
    ----------
    fingerprints
        Of its dumps, one per split of the plan.
    chunk_samples
        How many samples are stored, read and checked as one.
    tokens
        The grid of ``(T, D)`` where its patches are not those of a square.
    """

    model: str
    layer: str
    fingerprints: tuple[str, ...]
    shape: tuple[int, ...]
    itemsize: int
    chunk_samples: int = 1
    tokens: Grid | None = None

    @property
    def grid(self) -> Grid:
        """Return the grid of its positions."""
        return grid_of(self.shape, self.tokens)

    @property
    def sample_bytes(self) -> int:
        """Return the bytes of one stored sample, before compression."""
        return self.itemsize * prod(self.shape)


class Piece(NamedTuple):
    """Adjacent samples of one row group that are in one leaf: all of it, but where a group of samples lies in two.

    Attributes
    ----------
    start, stop
        In the stored order of the split.
    """

    row_group: int
    start: int
    stop: int


@dataclass(frozen=True)
class SplitShape:
    """A split's size.

    Attributes
    ----------
    row_groups
        As they are stored, ``(start, stop)``.
    groups
        ``(start, stop)`` of the groups that samples belong to; None where each is on its own.
    """

    dataset: str
    name: str
    row_groups: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, int], ...] | None = None

    @property
    def n_samples(self) -> int:
        """Return the number of samples."""
        return self.row_groups[-1][1]

    @cached_property
    def n_images(self) -> int:
        """How many images, the first ones, the indices over samples and nulls rest on: whole groups of them.

        Where whole groups are less than half of `MOST_IMAGES`, because one is very large, it is cut.
        """
        most = min(MOST_IMAGES, self.n_samples)
        if self.groups is None or most == self.n_samples:
            return most
        ends = [stop for _, stop in self.groups]
        whole = ends[bisect_right(ends, most) - 1] if ends[0] <= most else 0
        return whole if 2 * whole >= most else most

    @property
    def image_groups(self) -> tuple[tuple[int, int], ...] | None:
        """``(start, stop)`` of the groups among the first `n_images`; None where each is on its own."""
        if self.groups is None:
            return None
        return tuple(
            (start, min(stop, self.n_images)) for start, stop in self.groups if start < self.n_images
        )

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The samples that are read as one: row groups, cut where leaves begin."""
        stops = sorted({*(stop for _, stop in self.row_groups), *self._cuts[1:]})
        starts = [start for start, _ in self.row_groups]
        return tuple(
            Piece(bisect_right(starts, start) - 1, start, stop) for start, stop in pairwise([0, *stops])
        )

    @cached_property
    def _cuts(self) -> Sequence[int]:
        """Where leaves begin, and where the last one ends: between row groups; or between groups, as near as can be."""
        count = len(self.row_groups)
        leaves = min(LEAVES, count)
        cuts = [*(self.row_groups[count * leaf // leaves][0] for leaf in range(leaves)), self.n_samples]
        if self.groups is None:
            return cuts
        ends = [0, *(stop for _, stop in self.groups)]
        return sorted({_nearest(ends, cut) for cut in cuts})

    def leaves(self) -> tuple[tuple[int, ...], ...]:
        """Return the pieces of each leaf, by their places: contiguous, in order, as even as can be.

        No group of samples is in two leaves.
        """
        return self._leaves

    @cached_property
    def _leaves(self) -> tuple[tuple[int, ...], ...]:
        starts = [piece.start for piece in self.pieces]
        edges = [bisect_left(starts, cut) for cut in self._cuts]
        return tuple(tuple(range(a, b)) for a, b in pairwise(edges))

    def samples_of(self, leaf: tuple[int, ...]) -> int:
        """Return how many samples the pieces of a leaf hold."""
        return sum(self.pieces[place].stop - self.pieces[place].start for place in leaf)

    def samples_read(self, chunk_samples: int) -> int:
        """Return how many samples are read of a layer that is stored in such chunks: those at a cut twice."""
        return sum(self._read_of(piece, chunk_samples) for piece in self.pieces)

    def _read_of(self, piece: Piece, chunk_samples: int) -> int:
        first, last = self.row_groups[piece.row_group]
        before = (piece.start - first) % chunk_samples
        behind = -(piece.stop - first) % chunk_samples
        return piece.stop - piece.start + before + min(behind, last - piece.stop)


def _nearest(ascending: Sequence[int], wanted: int) -> int:
    """Return the entry nearest to a number within their range, the smaller of two."""
    place = bisect_left(ascending, wanted)
    return min(ascending[max(0, place - 1) : place + 1], key=lambda entry: abs(entry - wanted))
