"""What a leaf leaves behind of a pass: a few large arrays, cut the way they will be read.

Where products are formed, these are the centred products of each chunk, and the own moments of many layers one behind
the other. Under views where a row is an image, rows are kept instead where they are smaller than their products
(`stitchpipe.engine.moments.kept_rows`). All of it stands under a key of everything that it depends on: a killed run
finds the leaves of the work it was in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.moments import CrossMoments
from stitchpipe.engine.moments.chunk_moments import ChunkMoments, OwnMoments, stacked
from stitchpipe.engine.planning.tiles import Own, side_slice
from stitchpipe.rows import rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.engine.moments.products import BandSums
    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Tile

Float64: TypeAlias = npt.NDArray[np.float64]

_CENTRED = 64
"""Rows of sums that are centred at a time."""
GROUP_NUMBERS = 2**18
"""Numbers of own moments that are kept as one array, at least."""


@dataclass(frozen=True)
class OwnLayout:
    """Where the own moments of a pass lie in its leaves: those of adjacent layers are one array.

    The arrays of a group are all means one behind the other (``mean…``), and all comoments (``own…``).
    """

    plan: Plan
    formed: Pass

    @cached_property
    def groups(self) -> list[range]:
        """The numbers of own moments in each group."""
        edges, numbers = [0], 0
        for number, own in enumerate(self.formed.owns, 1):
            numbers += self._width(own) ** 2
            if numbers >= GROUP_NUMBERS or number == len(self.formed.owns):
                edges.append(number)
                numbers = 0
        return [range(start, stop) for start, stop in pairwise(edges)]

    def packed(self, means: Mapping[Own, Float64], comoments: Mapping[Own, Float64]) -> dict[str, Float64]:
        """Return the arrays of all groups."""
        arrays = {}
        for number, group in enumerate(self.groups):
            owns = [self.formed.owns[member] for member in group]
            arrays[f"mean{number}"] = np.concatenate([means[own] for own in owns])
            arrays[f"own{number}"] = np.concatenate([comoments[own].ravel() for own in owns])
        return arrays

    def names(self, chunk: Chunk) -> list[str]:
        """Return the names of the arrays that hold the own moments of a chunk's layers."""
        numbers = self._of_chunk(chunk).values()
        groups = [number for number, group in enumerate(self.groups) if any(own in group for own in numbers)]
        return [f"{kind}{number}" for number in groups for kind in ("mean", "own")]

    def stacked(self, chunk: Chunk, rows: int, arrays: Mapping[str, Any]) -> tuple[OwnMoments, ...]:
        """Return the own moments of a chunk's layers over so many rows, stacked by width."""
        of_layer = {layer: self._unpacked(own, arrays) for layer, own in self._of_chunk(chunk).items()}
        return stacked(rows, of_layer)

    def _unpacked(self, own: int, arrays: Mapping[str, Any]) -> tuple[Float64, Float64]:
        """Return one layer's mean and comoment, as views."""
        (group,) = (number for number, members in enumerate(self.groups) if own in members)
        widths = [self._width(self.formed.owns[member]) for member in range(self.groups[group][0], own + 1)]
        p, before = widths[-1], widths[:-1]
        start, at = sum(before), sum(width * width for width in before)
        mean, comoment = arrays[f"mean{group}"], arrays[f"own{group}"]
        return mean[start : start + p], comoment[at : at + p * p].reshape(p, p)

    def _of_chunk(self, chunk: Chunk) -> dict[int, int]:
        """Return the numbers of the own moments of a chunk's layers, by layer."""
        tile = self.formed.tiles[chunk.tile]
        layers = dict.fromkeys((*chunk.sources, *chunk.targets))
        return {layer: self._numbers[_own(tile, layer)] for layer in layers}

    @cached_property
    def _numbers(self) -> dict[Own, int]:
        return {own: number for number, own in enumerate(self.formed.owns)}

    def _width(self, own: Own) -> int:
        return self.plan.width(own.view, own.layer)


@dataclass(frozen=True, eq=False, slots=True)
class LeafState:
    """What a leaf of one pass leaves behind: `arrays` by name, and the number of its samples."""

    n_samples: int
    arrays: Mapping[str, npt.NDArray[Any]]


def centred_products(
    layout: OwnLayout,
    n_samples: int,
    means: Mapping[Own, Float64],
    products: Sequence[BandSums],
    comoments: Mapping[Own, Float64],
) -> dict[str, Float64]:
    """Centre sums that were taken about the shifts, in place, and return them as the arrays of a leaf.

    Σ (y − ȳ)(x − x̄)ᵀ = Σ y xᵀ − n ȳ x̄ᵀ. Both sides were shifted by constants, which this leaves as they are.

    Parameters
    ----------
    means
        Of every layer on every grid, about its shift.
    products
        Of each band; the arrays are parts of them.
    comoments
        Own products that no tile holds.

    Raises
    ------
    MomentsError
        A sum overflowed.
    """
    plan, formed = layout.plan, layout.formed
    arrays: dict[str, Float64] = {}
    for number, (band, sums) in enumerate(zip(formed.bands, products, strict=True)):
        tile = formed.tiles[band.tile]
        rows = n_samples * rows_per_sample(tile.view, tile.grid)
        x, y = (_means(tile, side, means) for side in (band.sources, band.targets))
        for kind, values, columns in (("across", sums[0], x), ("square", sums[1], y)):
            if values is not None:
                _centre(f"{kind}{number}", values, rows * y, columns)
    for number, chunk in formed.chunks.of_products:
        if chunk.band is None:
            continue
        # A chunk's targets are rows of its band's sums: each leaf is cut the way it will be read.
        view, targets = formed.tiles[chunk.tile].view, formed.bands[chunk.band].targets
        columns_of_chunk = side_slice(plan.layers, view, targets, chunk.targets)
        across, square = products[chunk.band]
        if across.size:
            arrays[f"across{number}"] = across[columns_of_chunk]
        if square is not None:
            arrays[f"square{number}"] = square[columns_of_chunk]
    own = {}
    for each in formed.owns:
        if each in comoments:
            rows = n_samples * rows_per_sample(each.view, each.grid)
            _centre(f"own of layer {each.layer}", comoments[each], rows * means[each], means[each])
            own[each] = comoments[each]
        else:
            own[each] = _diagonal(plan, formed, each, products)
    return {**arrays, **layout.packed(means, own)}


def names_of_chunk(layout: OwnLayout, number: int) -> list[str]:
    """Return the names of the arrays that one chunk of products needs of a leaf."""
    formed, chunk = layout.formed, layout.formed.chunks[number]
    is_across = chunk.band is not None and bool(formed.bands[chunk.band].sources)
    return [
        *([f"across{number}"] if is_across else []),
        *([f"square{number}"] if formed.tiles[chunk.tile].symmetric else []),
        *layout.names(chunk),
    ]


def chunk_of_leaf(layout: OwnLayout, number: int, leaf: LeafState) -> ChunkMoments:
    """Return the moments of one chunk over the samples of a leaf that keeps products."""
    chunk = layout.formed.chunks[number]
    tile = layout.formed.tiles[chunk.tile]
    rows = leaf.n_samples * rows_per_sample(tile.view, tile.grid)
    own = layout.stacked(chunk, rows, leaf.arrays)
    mean_of = {
        layer: mean for stack in own for layer, mean in zip(stack.layers, stack.moments.mean, strict=True)
    }
    x, y = (np.concatenate([mean_of[layer] for layer in side]) for side in (chunk.sources, chunk.targets))
    # Sources of a symmetric tile's chunk are those before its band and then the band: `across`, then `square`.
    parts = [leaf.arrays[name] for name in (f"across{number}", f"square{number}") if name in leaf.arrays]
    return ChunkMoments(own, CrossMoments(rows, y, x, parts[0] if len(parts) == 1 else np.hstack(parts)))


def _own(tile: Tile, layer: int) -> Own:
    return Own(tile.view, layer, tile.grid)


def _means(tile: Tile, members: Sequence[int], means: Mapping[Own, Float64]) -> Float64:
    """Return the means of layers side by side."""
    return np.concatenate([np.empty(0), *(means[_own(tile, layer)] for layer in members)])


def _diagonal(plan: Plan, formed: Pass, own: Own, products: Sequence[BandSums]) -> Float64:
    """Return a layer's own moments out of the symmetric tile that formed them."""
    for band, (_, square) in zip(formed.bands, products, strict=True):
        tile = formed.tiles[band.tile]
        is_here = (tile.view, tile.grid) == (own.view, own.grid)
        if square is not None and is_here and own.layer in band.targets:
            columns = side_slice(plan.layers, tile.view, band.targets, (own.layer,))
            return square[columns, columns]
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
            raise overflowed(f"moments {name}")


def overflowed(where: str) -> MomentsError:
    """Return the refusal of sums that are not finite."""
    return MomentsError(
        where=where,
        expected="sums of products that fit into float64",
        found="an overflow, or values that are not finite",
        remedy="Verify the store; a layer with values beyond 1e75 must be rescaled.",
    )
