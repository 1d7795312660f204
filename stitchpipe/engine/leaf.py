"""What a leaf leaves behind: moments of its samples, cut the way they will be finalised, and how they are kept.

A leaf's state is a set of named arrays in a folder of summaries, under a key of everything it depends on: a killed
run finds the leaves of the work it was in, and a finalisation reads no more than its own part of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.summaries import CrossMoments, Moments
from stitchpipe.engine.tiles import Own, on_diagonal
from stitchpipe.rows import rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.engine.plan import Chunk, Pass, Plan
    from stitchpipe.engine.tiles import Tile

Float64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class ChunkMoments:
    """The moments of the pairs of one chunk over some samples, about the layers' shifts.

    Attributes
    ----------
    own
        Each layer's own moments on the chunk's grid.
    cross
        All sources' columns with all targets' columns, in the chunk's order.
    """

    own: Mapping[int, Moments]
    cross: CrossMoments

    def merge(self, other: ChunkMoments) -> ChunkMoments:
        """Return the moments of both sets of samples (Chan et al. 1983)."""
        own = {layer: moments.merge(other.own[layer]) for layer, moments in self.own.items()}
        return ChunkMoments(own, self.cross.merge(other.cross))

    def without(self, part: ChunkMoments) -> ChunkMoments:
        """Return the moments of the samples that are not in `part`."""
        own = {layer: moments.without(part.own[layer]) for layer, moments in self.own.items()}
        return ChunkMoments(own, self.cross.without(part.cross))


@dataclass(frozen=True, eq=False, slots=True)
class LeafState:
    """The moments of one pass over some samples: `arrays` by name, and the number of samples."""

    n_samples: int
    arrays: Mapping[str, Float64]

    @classmethod
    def from_sums(
        cls,
        plan: Plan,
        work: Pass,
        n_samples: int,
        means: Mapping[Own, Float64],
        products: Sequence[Float64],
        comoments: Mapping[Own, Float64],
    ) -> LeafState:
        """Centre sums that were taken about the shifts.

        Parameters
        ----------
        means
            Of every layer on every grid, about its shift.
        products
            Of each tile, ``[columns of sources, columns of targets]``; symmetric ones whole.
        comoments
            Own products that no tile holds.

        Raises
        ------
        MomentsError
            A sum overflowed.
        """
        arrays: dict[str, Float64] = {}
        for number, own in enumerate(work.owns):
            rows = n_samples * rows_per_sample(own.view, own.grid)
            raw = comoments[own] if own in comoments else _diagonal(plan, work, own, products)
            arrays[f"mean{number}"] = means[own]
            arrays[f"own{number}"] = raw - rows * np.outer(means[own], means[own])
        for number, chunk in enumerate(work.chunks):
            tile = work.tiles[chunk.tile]
            rows = n_samples * rows_per_sample(tile.view, tile.grid)
            x, y = (
                np.concatenate([means[_own(tile, index)] for index in side])
                for side in (chunk.sources, chunk.targets)
            )
            raw = products[chunk.tile][
                _columns(plan, tile, tile.sources, chunk.sources),
                _columns(plan, tile, tile.targets, chunk.targets),
            ]
            arrays[f"cross{number}"] = raw - rows * np.outer(x, y)
        for name, values in arrays.items():
            _demand_finite(name, values)
        return cls(n_samples, arrays)

    def chunk(self, work: Pass, number: int) -> ChunkMoments:
        """Return the moments of one chunk of the pass."""
        chunk = work.chunks[number]
        tile = work.tiles[chunk.tile]
        rows = self.n_samples * rows_per_sample(tile.view, tile.grid)
        own = {
            layer: Moments(rows, self.arrays[f"mean{place}"], self.arrays[f"own{place}"])
            for layer, place in owns_of_chunk(work, chunk).items()
        }
        mean_x, mean_y = (
            np.concatenate([own[index].mean for index in side]) for side in (chunk.sources, chunk.targets)
        )
        return ChunkMoments(own, CrossMoments(rows, mean_x, mean_y, self.arrays[f"cross{number}"]))


def owns_of_chunk(work: Pass, chunk: Chunk) -> dict[int, int]:
    """Return where the own moments of a chunk's layers stand among the pass's, by layer."""
    tile = work.tiles[chunk.tile]
    return {
        index: work.owns.index(_own(tile, index)) for index in dict.fromkeys((*chunk.sources, *chunk.targets))
    }


def names_of_chunk(work: Pass, number: int) -> list[str]:
    """Return the names of the arrays that one chunk needs of a leaf."""
    places = owns_of_chunk(work, work.chunks[number]).values()
    return [f"cross{number}", *(f"{kind}{place}" for place in places for kind in ("mean", "own"))]


def merged(leaves: Sequence[Callable[[], ChunkMoments]]) -> ChunkMoments:
    """Return the moments of all leaves, merged in a fixed binary tree: the order never depends on who formed them.

    Holds one part per level of the tree.
    """
    if len(leaves) == 1:
        return leaves[0]()
    half = len(leaves) // 2
    return merged(leaves[:half]).merge(merged(leaves[half:]))


def columns_of(plan: Plan, tile: Tile, members: Sequence[int], index: int) -> slice:
    """Return which columns belong to layer `index` where `members` stand side by side."""
    before = members[: list(members).index(index)]
    start = sum(plan.width(tile.view, member) for member in before)
    return slice(start, start + plan.width(tile.view, index))


def _columns(plan: Plan, tile: Tile, members: Sequence[int], run: Sequence[int]) -> slice:
    """Return the columns of adjacent layers."""
    return slice(columns_of(plan, tile, members, run[0]).start, columns_of(plan, tile, members, run[-1]).stop)


def _own(tile: Tile, index: int) -> Own:
    return Own(tile.view, index, tile.grid)


def _diagonal(plan: Plan, work: Pass, own: Own, products: Sequence[Float64]) -> Float64:
    """Return a layer's own products out of the symmetric tile that formed them."""
    number = on_diagonal(work.tiles, own)
    if number is None:
        raise MomentsError(
            where="own moments",
            expected="a tile that holds them",
            found="none",
            remedy="Plan the pass again.",
        )
    place = columns_of(plan, work.tiles[number], work.tiles[number].sources, own.layer)
    return products[number][place, place]


def _demand_finite(name: str, values: Float64) -> None:
    if not np.isfinite(values).all():
        raise MomentsError(
            where=f"moments {name}",
            expected="sums of products that fit into float64",
            found="an overflow, or values that are not finite",
            remedy="Verify the store; a layer with values beyond 1e75 must be rescaled.",
        )
