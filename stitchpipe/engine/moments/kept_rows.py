"""Leaves that keep rows: where a row is an image, and images are fewer than features are wide, products wait.

A product of n rows is larger than the rows where there are fewer rows than columns, and each leaf has one. So leaves
keep what the products are formed of, and whoever finalises a chunk forms its own products, once, from all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.moments import CrossMoments
from stitchpipe.engine.moments.chunk_moments import ChunkMoments, stacked
from stitchpipe.engine.moments.leaf import overflowed
from stitchpipe.engine.planning.pass_layout import row_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.moments.panel import Panel
    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.pass_layout import Pass, Space
    from stitchpipe.engine.planning.plan import Plan

Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.floating[Any]]


def kept_rows(panel: Panel, plan: Plan, number: int, backend: Backend) -> dict[str, Rows]:
    """Return the rows that a panel holds as the arrays of a leaf; `number` is that of its space."""
    groups = enumerate(row_groups(plan.layers, panel.space))
    return {
        _name(number, group): backend.fetch(panel.columns(operands)).astype(plan.precision, copy=False)
        for group, operands in groups
    }


@dataclass(frozen=True)
class RowLayout:
    """Where the rows of a chunk's layers lie in the leaves of its pass."""

    plan: Plan
    formed: Pass
    chunk: Chunk

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The chunk's layers: its sources, and the targets that are none of them."""
        return tuple(dict.fromkeys((*self.chunk.sources, *self.chunk.targets)))

    @cached_property
    def names(self) -> list[str]:
        """The arrays that hold their rows."""
        return list(dict.fromkeys(name for name, _ in self._places.values()))

    def read(
        self, leaves: Sequence[Callable[[], Mapping[str, Rows]]], samples: Sequence[int]
    ) -> dict[int, Rows]:
        """Return the rows of each layer over all leaves, ``[columns, Σ samples]``; one leaf is held beside them.

        The rows of one side of the chunk lie side by side.
        """
        columns = _columns({layer: self._width(layer) for layer in self.layers})
        rows = np.empty((columns[self.layers[-1]].stop, sum(samples)), self.plan.precision)
        stop = 0
        for leaf, size in zip(leaves, samples, strict=True):
            start, stop, arrays = stop, stop + size, leaf()
            for layer, (name, among) in self._places.items():
                rows[columns[layer], start:stop] = arrays[name][among]
        return {layer: rows[of_layer] for layer, of_layer in columns.items()}

    def _width(self, layer: int) -> int:
        return self.plan.width(self._space.view, layer)

    @property
    def _space(self) -> Space:
        view = self.formed.tiles[self.chunk.tile].view
        return next(space for space in self.formed.spaces if space.view == view)

    @cached_property
    def _places(self) -> dict[int, tuple[str, slice]]:
        """The array of each layer, and its rows there."""
        number, places = self.formed.spaces.index(self._space), {}
        for group, operands in enumerate(row_groups(self.plan.layers, self._space)):
            columns = _columns({operand.layer: self._width(operand.layer) for operand in operands})
            places.update({layer: (_name(number, group), among) for layer, among in columns.items()})
        return {layer: places[layer] for layer in self.layers}


@dataclass(frozen=True, eq=False)
class SplitRows:
    """The rows of a chunk's layers on one split.

    Attributes
    ----------
    rows
        ``[columns, n]`` by layer; the last column is the squared norm.
    samples
        How many samples each leaf holds, in order.
    shifts
        What rows are about, by layer.
    largest
        The largest mean of a feature, of layers whose columns are coordinates.
    """

    rows: Mapping[int, Rows]
    samples: Sequence[int]
    shifts: Mapping[int, Float64]
    largest: Mapping[int, float] = field(default_factory=dict)


class MomentsOfRows:
    """The moments of a chunk on one split, formed of all its rows: one product, and one for each leaf left out.

    Sums are taken about the layers' shifts, so that means are small next to what varies and no digits are lost when
    they are subtracted at the end.

    Parameters
    ----------
    rows
        Of the chunk's layers on the split.
    """

    def __init__(self, chunk: Chunk, rows: SplitRows) -> None:
        self.samples, self.shifts, self.largest = rows.samples, rows.shifts, rows.largest
        self._chunk = chunk
        self._columns = _columns({layer: len(of_layer) for layer, of_layer in rows.rows.items()})
        self._rows = _side_by_side(list(rows.rows.values()))
        edges = np.cumsum([0, *rows.samples]).tolist()
        self._leaves = [slice(start, stop) for start, stop in pairwise(edges)]

    def total(self) -> ChunkMoments:
        """Return the moments of all samples."""
        return self._moments(self._sums)

    def left_out(self) -> Iterator[ChunkMoments]:
        """Yield the moments without each leaf, in order."""
        return (self._moments(self._sums.without(self._sums_of([leaf]))) for leaf in self._leaves)

    @cached_property
    def _sums(self) -> _Sums:
        # In float64 all rows are multiplied at once; in float32 leaf by leaf, each added in float64.
        everything = slice(0, self._rows.shape[1])
        return self._sums_of([everything] if self._rows.dtype == np.float64 else self._leaves)

    def _sums_of(self, parts: Sequence[slice]) -> _Sums:
        """Return the sums over some runs of samples."""
        columns, x, y = self._columns, self._side(self._chunk.sources), self._side(self._chunk.targets)
        n = sum(part.stop - part.start for part in parts)
        sums = sum(self._rows[:, part].sum(axis=1, dtype=np.float64) for part in parts)
        own = [_products(self._rows[columns[layer]], self._rows[columns[layer]], parts) for layer in columns]
        return _Sums(n, np.asarray(sums), own, _products(self._rows[y], self._rows[x], parts))

    def _side(self, layers: Sequence[int]) -> slice:
        """Return the columns of one side of the chunk, which lie side by side."""
        return slice(self._columns[layers[0]].start, self._columns[layers[-1]].stop)

    def _moments(self, sums: _Sums) -> ChunkMoments:
        """Return the moments that sums about the shifts amount to."""
        mean = sums.of_columns / sums.n
        columns = self._columns
        own = {}
        for layer, products in zip(columns, sums.own, strict=True):
            of_layer = mean[columns[layer]]
            own[layer] = of_layer, products - sums.n * np.outer(of_layer, of_layer)
        x, y = (mean[self._side(side)] for side in (self._chunk.sources, self._chunk.targets))
        cross = sums.cross - np.outer(sums.n * y, x)
        if not np.isfinite(cross).all():
            raise overflowed("products of rows")
        return ChunkMoments(stacked(sums.n, own), CrossMoments(sums.n, y, x, cross))


@dataclass(frozen=True, eq=False, slots=True)
class _Sums:
    """Sums over n rows about the shifts: of columns, own products of each layer, and products of both sides."""

    n: int
    of_columns: Float64
    own: Sequence[Float64]
    cross: Float64

    def without(self, part: _Sums) -> _Sums:
        own = [mine - theirs for mine, theirs in zip(self.own, part.own, strict=True)]
        return _Sums(self.n - part.n, self.of_columns - part.of_columns, own, self.cross - part.cross)


def _products(y: Rows, x: Rows, parts: Sequence[slice]) -> Float64:
    """Return ``Σ y xᵀ [q, p]`` over some runs of samples, each multiplied in the rows' own type."""
    first, *others = parts
    products = (y[:, first] @ x[:, first].T).astype(np.float64, copy=False)
    for part in others:
        products += y[:, part] @ x[:, part].T
    return products


def _columns(widths: Mapping[int, int]) -> dict[int, slice]:
    """Return the columns of layers that lie side by side."""
    edges = np.cumsum([0, *widths.values()]).tolist()
    return {layer: slice(*ends) for layer, ends in zip(widths, pairwise(edges), strict=True)}


def _side_by_side(parts: Sequence[Rows]) -> Rows:
    """Return the rows of layers one behind the other; without a copy where they are parts of one array."""
    whole = parts[0].base
    if whole is not None and all(part.base is whole for part in parts):
        return whole
    return np.concatenate(parts)


def _name(space: int, group: int) -> str:
    return f"rows{space}.{group}"
