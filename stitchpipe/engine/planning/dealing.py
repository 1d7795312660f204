"""Which pairs share a reading of their layers, where not all moments fit into memory at once.

With room for S numbers, n rows of P columns cost at least about n·P²/√(2S) reads for all pairs (Beaumont et al.
2022). Square blocks of pairs cost √2 of that; *cliques* of layers reach it: cut the layers into q² blocks, take
them as the points of the affine plane of order q, a prime power, and let a pass be a line. A line has q points, two
points lie on exactly one line, and so every pair of blocks meets in exactly one pass, each block being read q + 1
times where the bound says q.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from heapq import heapreplace
from operator import or_
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.finite_fields import ORDERS, field_of
from stitchpipe.engine.planning.pairs import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stitchpipe.engine.planning.pairs import Matrix, Wanted
    from stitchpipe.rows import View

Numbers: TypeAlias = npt.NDArray[np.integer[Any]]
Partners: TypeAlias = tuple[tuple["Matrix", Numbers], tuple["Matrix", Numbers]]
"""Of sources, and of targets: distinct sets of partners ``[sets, layers]``, and which of them each layer has."""


@dataclass(frozen=True, eq=False, slots=True)
class Design:
    """Which pass each two blocks of layers meet in.

    Attributes
    ----------
    block
        Of each layer, ``[layers]``.
    table
        The number of the pass, ``[blocks, blocks]``, source first.
    """

    block: Numbers
    table: Numbers

    def __call__(self, sources: Numbers, targets: Numbers) -> Numbers:
        """Return the passes of pairs of layers ``[m]``."""
        return self.table[self.block[sources], self.block[targets]]


@dataclass(frozen=True, eq=False, slots=True)
class Dealt:
    """Pairs dealt out to passes by blocks of their layers: no list of pairs is made, of which there may be millions.

    Attributes
    ----------
    together
        Whether all views share passes, or each has its own.
    """

    design: Design
    wanted: Wanted
    together: bool = True

    def bytes_read(self, sample_bytes: Numbers, partners: Mapping[View, Partners] | None = None) -> int:
        """Return the bytes that one sample costs: Σ over passes of the layers of each.

        `partners` are those of the pairs under each view, where they are known already.
        """
        partners = partners or partners_of(self.wanted, len(sample_bytes))
        total, count, apart = 0, len(sample_bytes), max(1, len(self.wanted))
        block, table, meetings = self.design.block[:count], self.design.table, []
        for number, name in enumerate(self.wanted):
            view = 0 if self.together else number
            for (kinds, of_layers), passes in zip(partners[name], (table, table.T), strict=True):
                meetings.append((view, passes, self._by_block(kinds, np.logical_or), of_layers))
        for start in range(0, count, _LAYERS):
            mine, seen = slice(start, start + _LAYERS), [np.zeros(0, np.int64)]
            for view, passes, meets, of_layers in meetings:
                layer, other = np.nonzero(meets[of_layers[mine]])
                of_pass = passes[block[mine][layer], other].astype(np.int64)
                seen.append((of_pass * apart + view) * _LAYERS + layer)
            keys = np.concatenate(seen)
            if len(keys):
                total += int(sample_bytes[mine][_distinct(keys) % _LAYERS].sum())
        return total

    def least_products(self, widths: Mapping[View, Numbers]) -> float:
        """Return how many numbers the products of some pass are at least: one serves two pairs at most."""
        most = [0.0]
        sums = np.zeros(int(self.design.table.max()) + 1)
        for view, pairs in self.wanted.items():
            of_layers = widths[view].astype(np.float64)
            of_blocks = np.zeros(self.design.table.shape)
            for start in range(0, len(of_layers), _LAYERS):
                mine = slice(start, start + _LAYERS)
                rows = self._by_block(pairs.among(len(of_layers))[mine] * of_layers, np.add)
                np.add.at(of_blocks, self.design.block[: len(of_layers)][mine], rows * of_layers[mine, None])
            of_view = np.bincount(self.design.table.ravel(), of_blocks.ravel(), len(sums))
            sums += of_view
            most.append(float(of_view.max()))
        return (float(sums.max()) if self.together else max(most)) / 2

    def passes(self) -> Iterator[Wanted]:
        """Yield the pairs of each pass, by view; passes without a pair are left out."""
        table, block = self.design.table, self.design.block
        for number in np.unique(table).tolist():
            meeting = table == number
            here = np.flatnonzero((meeting.any(axis=0) | meeting.any(axis=1))[block])
            chosen = meeting[np.ix_(block[here], block[here])]
            of_pass = {}
            for view, pairs in self.wanted.items():
                matrix = np.zeros((len(block), len(block)), np.bool_)
                matrix[np.ix_(here, here)] = pairs.among(len(block))[np.ix_(here, here)] & chosen
                if matrix.any():
                    of_pass[view] = Pairs(matrix)
            if self.together:
                yield from [of_pass] if of_pass else []
            else:
                yield from ({view: pairs} for view, pairs in of_pass.items())

    def _by_block(self, rows: npt.NDArray[Any], merge: np.ufunc) -> npt.NDArray[Any]:
        """Return the columns of some rows ``[m, layers]`` merged by the block of each: ``[m, blocks]``."""
        n_blocks, block = len(self.design.table), self.design.block[: rows.shape[1]]
        order = np.argsort(block, kind="stable")
        there, starts = np.unique(block[order], return_index=True)
        merged = np.zeros((len(rows), n_blocks), rows.dtype)
        if len(starts):
            merged[:, there] = merge.reduceat(rows[:, order], starts, axis=1)
        return merged


MOST_BLOCKS = 1024
"""Two by two, more blocks than that are half a million passes: only where nothing else fits."""
_LAYERS = 512
"""Of so many layers the pairs are looked at together."""


def partners_of(wanted: Wanted, layers: int) -> dict[View, Partners]:
    """Return the partners of each layer as a source and as a target: each distinct set once, for few layers differ."""
    matrices = {view: pairs.among(layers) for view, pairs in wanted.items()}
    return {
        view: (_distinct_rows(matrix), _distinct_rows(np.ascontiguousarray(matrix.T)))
        for view, matrix in matrices.items()
    }


def _distinct_rows(matrix: Matrix) -> tuple[Matrix, Numbers]:
    """Return the distinct rows of a matrix, and which of them each row is."""
    places: dict[bytes, int] = {}
    of_rows = [places.setdefault(np.packbits(row).tobytes(), len(places)) for row in matrix]
    of_all = np.array(of_rows, np.int64)
    _, first = np.unique(of_all, return_index=True)
    return matrix[first], of_all


def _distinct(numbers: Numbers) -> Numbers:
    """Return the distinct ones of numbers that are not negative; small ones without sorting them."""
    most = int(numbers.max()) + 1
    if most > _MARKED:
        return np.unique(numbers)
    marks = np.zeros(most, np.bool_)
    marks[numbers] = True
    return np.flatnonzero(marks)


_MARKED = 2**26
"""Numbers below this are told apart by marks in an array."""


def dealings(sample_bytes: Sequence[int], weights: Sequence[int], wanted: Wanted) -> Iterator[Dealt]:
    """Yield ways to deal pairs out to passes, from the least reading to the most.

    Parameters
    ----------
    sample_bytes
        What reading one sample of each layer costs.
    weights
        The width of each layer: blocks are balanced by it.
    wanted
        The pairs.

    Notes
    -----
    Time O(pairs · log pairs) for each of a few dozen.
    """
    # Nothing reads less than one pass, and where it fits nothing else needs to be weighed.
    count = len(sample_bytes)
    yield Dealt(_one_pass(count), wanted)
    asked = {view: pairs for view, pairs in wanted.items() if pairs}
    if not asked:
        return
    sizes = np.array(sample_bytes, np.int64)
    partners = partners_of(asked, count)
    everything = reduce(or_, asked.values(), Pairs.of([], count))
    ways = [
        (dealt.bytes_read(sizes, partners), number, dealt)
        for number, design in enumerate((_one_pass(count), *designs(weights, everything)))
        for together in ((True, False) if len(asked) > 1 else (True,))
        if number or not together
        for dealt in [Dealt(design, asked, together)]
    ]
    yield from (dealt for _, _, dealt in sorted(ways, key=lambda way: way[:2]))
    if len(everything.layers) > MOST_BLOCKS:
        # Layer by layer: nothing holds less or reads more.
        layers = everything.layers
        yield Dealt(_couples(len(layers), _blocks(weights, layers, len(layers))), asked)


def _one_pass(layers: int) -> Design:
    return Design(np.zeros(layers, np.int64), np.zeros((1, 1), np.int64))


def designs(weights: Sequence[int], pairs: Pairs) -> Iterator[Design]:
    """Yield designs of several passes for some pairs: stripes of a hub, planes, and blocks two by two."""
    layers = pairs.layers
    hub = _hub(pairs)
    if hub:
        others = [layer for layer in layers if layer not in hub]
        for count in _counts(min(len(others), MOST_BLOCKS)):
            yield _stripes(_blocks(weights, others, count))
    for order in (1, *ORDERS):
        for points, lines in ((order**2, _lines), (order**2 + order + 1, _projective_lines)):
            if 1 < points <= min(len(layers), MOST_BLOCKS):
                yield lines(order, _blocks(weights, layers, points))
    for count in _counts(min(len(layers), MOST_BLOCKS)):
        yield _couples(count, _blocks(weights, layers, count))


def _counts(most: int) -> Iterator[int]:
    """Yield 2, 3, 4, 6, 9, … and last `most`."""
    count = 2
    while count < most:
        yield count
        count += count // 2
    yield most


def _blocks(weights: Sequence[int], layers: Sequence[int], count: int) -> Numbers:
    """Cut layers into `count` blocks of about equal weight, heaviest layers first; return each layer's block."""
    load = [(0, number) for number in range(count)]
    block = np.zeros(len(weights), np.int64)
    for layer in sorted(layers, key=lambda index: (-weights[index], index)):
        held, lightest = load[0]
        block[layer] = lightest
        heapreplace(load, (held + weights[layer], lightest))
    return block


def _lines(order: int, block: Numbers) -> Design:
    """Return the affine plane of an `order`: the pass of a pair is the line through its two blocks."""
    points = np.arange(order**2)
    return Design(block, _affine(order, points[:, None], points))


def _affine(order: int, sources: Numbers, targets: Numbers) -> Numbers:
    """Return the line through two points each.

    Block b is the point (x, y) with b = x·order + y. The lines y = slope·x + c have numbers slope·order + c, the
    vertical ones x = c come behind them.
    """
    field = field_of(order)
    (x, y), (u, v) = (np.divmod(side, order) for side in np.broadcast_arrays(sources, targets))
    slope = field.over[field.minus[v, y], field.minus[u, x]]  # (v − y) / (u − x) in the field
    # Pairs within one block lie on every line through its point: they are spread evenly over the lines.
    slope = np.where((x == u) & (y == v), x, slope)
    through = slope * order + field.minus[y, field.times[slope, x]]
    return np.where((x == u) & (y != v), order * order + x, through)


def _projective_lines(order: int, block: Numbers) -> Design:
    """Return the projective plane of an `order`: the affine one, where lines of one slope meet at infinity.

    Block order² + slope is where all lines of a slope meet, order² + order where vertical ones do, and all of these lie
    on the line order² + order. Lines are numbered as those of the affine plane.
    """
    field, points = field_of(order), order**2
    every = np.arange(points + order + 1)
    near, far = np.minimum(every[:, None], every), np.maximum(every[:, None], every)
    (x, y), slope = np.divmod(np.minimum(near, points - 1), order), np.maximum(far - points, 0)
    sloped = np.minimum(slope, order - 1)
    through = sloped * order + field.minus[y, field.times[sloped, x]]
    meeting = np.where(slope == order, points + x, through)
    of_two = _affine(order, np.minimum(near, points - 1), np.minimum(far, points - 1))
    found = np.where(far < points, of_two, meeting)
    found = np.where(near >= points, points + order, found)
    # Pairs within one block lie on every line through its point: each line gets those of one of its points. Lines that
    # are not vertical get (slope, y); (x, 0) is for the vertical ones, and what meets at infinity takes its place.
    x, y = np.divmod(np.arange(points), order)
    slopes = np.arange(order)
    freed = slopes * order + field.minus[0, field.times[slopes, slopes]]
    own = np.where(y == 0, points + x, x * order + field.minus[y, field.times[x, x]])
    alone = np.concatenate([own, freed, [points + order]])
    return Design(block, np.where(near == far, alone[near], found))


def _couples(count: int, block: Numbers) -> Design:
    """Return one pass for every two blocks: the least memory, and the most reading."""
    every = np.arange(count)
    return Design(block, np.minimum.outer(every, every) * count + np.maximum.outer(every, every))


def _stripes(part: Numbers) -> Design:
    """Return passes that keep the hub and take the other layers part by part: the hub alone is read repeatedly."""
    every = np.arange(int(part.max()) + 1)
    return Design(part, np.maximum.outer(every, every))


def _hub(pairs: Pairs) -> frozenset[int]:
    """Return the layers that are compared with all, if every pair holds one of them: a new model among old ones."""
    layers, matrix = pairs.layers, pairs.among(pairs.n_layers)
    partners = (matrix | matrix.T).sum(axis=1)
    hub = frozenset(layer for layer in layers if partners[layer] == len(layers))
    others = np.array(sorted(set(range(len(matrix))) - hub), np.int64)
    whole = len(hub) == len(layers)
    held = not matrix[np.ix_(others, others)].any()
    return hub if held and not whole else frozenset()
