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
from stitchpipe.algebra.moments import CrossMoments, Moments
from stitchpipe.engine.planning.tiles import Own, side_slice
from stitchpipe.rows import rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.engine.moments.products import BandSums
    from stitchpipe.engine.planning.pass_layout import Chunk, Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Tile

Float64: TypeAlias = npt.NDArray[np.float64]

_CENTRED = 64
"""Rows of sums that are centred at a time."""


@dataclass(frozen=True, eq=False, slots=True)
class ChunkMoments:
    """The moments of the pairs of one chunk over some samples, about the layers' shifts.

    Attributes
    ----------
    own
        Each layer's own moments on the chunk's grid.
    cross
        All targets' columns with all sources' columns, in the chunk's order.
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
        formed: Pass,
        n_samples: int,
        means: Mapping[Own, Float64],
        products: Sequence[BandSums],
        comoments: Mapping[Own, Float64],
    ) -> LeafState:
        """Centre sums that were taken about the shifts, in place: the state's arrays are parts of them.

        Σ (y − ȳ)(x − x̄)ᵀ = Σ y xᵀ − n ȳ x̄ᵀ. Both sides were shifted by constants, which this leaves as they are.

        Parameters
        ----------
        means
            Of every layer on every grid, about its shift.
        products
            Of each band.
        comoments
            Own products that no tile holds.

        Raises
        ------
        MomentsError
            A sum overflowed.
        """
        arrays: dict[str, Float64] = {}
        for number, (band, sums) in enumerate(zip(formed.bands, products, strict=True)):
            tile = formed.tiles[band.tile]
            rows = n_samples * rows_per_sample(tile.view, tile.grid)
            x, y = (_means(tile, side, means) for side in (band.sources, band.targets))
            for kind, values, columns in (("across", sums[0], x), ("square", sums[1], y)):
                if values is not None:
                    _centre(f"{kind}{number}", values, rows * y, columns)
        for number, chunk in enumerate(formed.chunks):
            # A chunk's targets are rows of its band's sums: each leaf is cut the way it will be read.
            view, targets = formed.tiles[chunk.tile].view, formed.bands[chunk.band].targets
            columns_of_chunk = side_slice(plan.layers, view, targets, chunk.targets)
            across, square = products[chunk.band]
            if across.size:
                arrays[f"across{number}"] = across[columns_of_chunk]
            if square is not None:
                arrays[f"square{number}"] = square[columns_of_chunk]
        for number, own in enumerate(formed.owns):
            arrays[f"mean{number}"] = means[own]
            if own in comoments:
                rows = n_samples * rows_per_sample(own.view, own.grid)
                _centre(f"own{number}", comoments[own], rows * means[own], means[own])
                arrays[f"own{number}"] = comoments[own]
            else:
                arrays[f"own{number}"] = _diagonal(plan, formed, own, products)
        return cls(n_samples, arrays)

    def chunk(self, formed: Pass, number: int) -> ChunkMoments:
        """Return the moments of one chunk of the pass."""
        chunk = formed.chunks[number]
        tile = formed.tiles[chunk.tile]
        rows = self.n_samples * rows_per_sample(tile.view, tile.grid)
        own = {
            layer: Moments(rows, self.arrays[f"mean{among_owns}"], self.arrays[f"own{among_owns}"])
            for layer, among_owns in owns_of_chunk(formed, chunk).items()
        }
        x, y = (
            np.concatenate([own[layer].mean for layer in side]) for side in (chunk.sources, chunk.targets)
        )
        # Sources of a symmetric tile's chunk are those before its band and then the band: `across`, then `square`.
        parts = [self.arrays[name] for name in (f"across{number}", f"square{number}") if name in self.arrays]
        return ChunkMoments(own, CrossMoments(rows, y, x, parts[0] if len(parts) == 1 else np.hstack(parts)))


def owns_of_chunk(formed: Pass, chunk: Chunk) -> dict[int, int]:
    """Return the numbers of the own moments of a chunk's layers among the pass's, by layer."""
    tile = formed.tiles[chunk.tile]
    number_of = {own: number for number, own in enumerate(formed.owns)}
    return {layer: number_of[_own(tile, layer)] for layer in dict.fromkeys((*chunk.sources, *chunk.targets))}


def names_of_chunk(formed: Pass, number: int) -> list[str]:
    """Return the names of the arrays that one chunk needs of a leaf."""
    chunk = formed.chunks[number]
    owns = owns_of_chunk(formed, chunk).values()
    return [
        *([f"across{number}"] if formed.bands[chunk.band].sources else []),
        *([f"square{number}"] if formed.tiles[chunk.tile].symmetric else []),
        *(f"{kind}{among_owns}" for among_owns in owns for kind in ("mean", "own")),
    ]


def merged(leaves: Sequence[Callable[[], ChunkMoments]]) -> ChunkMoments:
    """Return the moments of all leaves, merged in a fixed binary tree: the order never depends on who formed them.

    Holds one part per level of the tree.
    """
    if len(leaves) == 1:
        return leaves[0]()
    half = len(leaves) // 2
    return merged(leaves[:half]).merge(merged(leaves[half:]))


def _own(tile: Tile, layer: int) -> Own:
    return Own(tile.view, layer, tile.grid)


def _means(tile: Tile, members: Sequence[int], means: Mapping[Own, Float64]) -> Float64:
    """Return the means of layers side by side."""
    return np.concatenate([np.empty(0), *(means[_own(tile, layer)] for layer in members)])


def _diagonal(plan: Plan, formed: Pass, own: Own, products: Sequence[BandSums]) -> Float64:
    """Return a copy of a layer's own moments out of the symmetric tile that formed them."""
    for band, (_, square) in zip(formed.bands, products, strict=True):
        tile = formed.tiles[band.tile]
        is_here = (tile.view, tile.grid) == (own.view, own.grid)
        if square is not None and is_here and own.layer in band.targets:
            columns = side_slice(plan.layers, tile.view, band.targets, (own.layer,))
            return square[columns, columns].copy()
    raise MomentsError(
        where="own moments",
        expected="a tile that holds them",
        found="none",
        remedy="Plan the pass again.",
    )


def _centre(name: str, sums: Float64, total: Float64, mean: Float64) -> None:
    """Subtract ``total [q] · meanᵀ [p]`` from sums of products ``[q, p]`` in place, and refuse what overflowed."""
    for start in range(0, len(sums), _CENTRED):
        rows = sums[start : start + _CENTRED]
        rows -= np.outer(total[start : start + _CENTRED], mean)
        if not np.isfinite(rows).all():
            raise MomentsError(
                where=f"moments {name}",
                expected="sums of products that fit into float64",
                found="an overflow, or values that are not finite",
                remedy="Verify the store; a layer with values beyond 1e75 must be rescaled.",
            )
