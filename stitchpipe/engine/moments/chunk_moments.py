"""The moments of the pairs of one chunk over some samples: what a leaf gives, what merges, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stitchpipe.algebra.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra.moments import CrossMoments

    Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class OwnMoments:
    """The own moments of layers of one width, one behind the other: ``mean [L, p]`` and ``comoment [L, p, p]``."""

    layers: tuple[int, ...]
    moments: Moments


def stacked(rows: int, own: Mapping[int, tuple[Float64, Float64]]) -> tuple[OwnMoments, ...]:
    """Return the own moments of layers over so many rows, from each one's mean and comoment, stacked by width."""
    by_width: dict[int, list[int]] = {}
    for layer, (mean, _) in own.items():
        by_width.setdefault(len(mean), []).append(layer)
    stacks = []
    for layers in by_width.values():
        means, comoments = zip(*(own[layer] for layer in layers), strict=True)
        stacks.append(OwnMoments(tuple(layers), Moments(rows, np.stack(means), np.stack(comoments))))
    return tuple(stacks)


@dataclass(frozen=True, eq=False, slots=True)
class ChunkMoments:
    """The moments of the pairs of one chunk over some samples, about the layers' shifts.

    Attributes
    ----------
    own
        Each layer's own moments on the chunk's grid, by width.
    cross
        All targets' columns with all sources' columns, in the chunk's order.
    """

    own: tuple[OwnMoments, ...]
    cross: CrossMoments

    def merge(self, other: ChunkMoments) -> ChunkMoments:
        """Return the moments of both sets of samples (Chan et al. 1983)."""
        own = zip(self.own, other.own, strict=True)
        merged = tuple(OwnMoments(mine.layers, mine.moments.merge(theirs.moments)) for mine, theirs in own)
        return ChunkMoments(merged, self.cross.merge(other.cross))

    def without(self, part: ChunkMoments) -> ChunkMoments:
        """Return the moments of the samples that are not in `part`."""
        own = zip(self.own, part.own, strict=True)
        left = tuple(OwnMoments(mine.layers, mine.moments.without(theirs.moments)) for mine, theirs in own)
        return ChunkMoments(left, self.cross.without(part.cross))


class SplitMoments(Protocol):
    """The moments of a chunk on one split, as a finalisation needs them."""

    @property
    def samples(self) -> Sequence[int]:
        """How many samples each leaf holds, in order."""

    @property
    def shifts(self) -> Mapping[int, Float64]:
        """What the moments' means are about, by layer."""

    @property
    def largest(self) -> Mapping[int, float]:
        """The largest mean of a feature, of layers whose columns are coordinates."""

    def total(self) -> ChunkMoments:
        """Return the moments of all samples."""

    def left_out(self) -> Iterator[ChunkMoments]:
        """Yield the moments without each leaf, in order; one is held at a time."""


@dataclass(frozen=True, eq=False)
class MergedLeaves:
    """The moments of a chunk from leaves that keep products, each loaded when it is needed, and again to leave it out.

    Attributes
    ----------
    leaves
        In order.
    """

    leaves: Sequence[Callable[[], ChunkMoments]]
    samples: Sequence[int]
    shifts: Mapping[int, Float64]

    @property
    def largest(self) -> Mapping[int, float]:
        """No layer: columns are features."""
        return {}

    def total(self) -> ChunkMoments:
        """Return the moments of all samples."""
        return self._total

    def left_out(self) -> Iterator[ChunkMoments]:
        """Yield the moments without each leaf, in order."""
        return (self._total.without(leaf()) for leaf in self.leaves)

    @cached_property
    def _total(self) -> ChunkMoments:
        return merged(self.leaves)


def merged(leaves: Sequence[Callable[[], ChunkMoments]]) -> ChunkMoments:
    """Return the moments of all leaves, merged in a fixed binary tree: the order never depends on who formed them.

    Holds one part per level of the tree.
    """
    if len(leaves) == 1:
        return leaves[0]()
    half = len(leaves) // 2
    return merged(leaves[:half]).merge(merged(leaves[half:]))
