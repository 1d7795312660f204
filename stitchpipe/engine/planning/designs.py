"""Designs: which blocks of layers meet in which pass, so that all pairs meet in few readings.

With room for S numbers, n rows of P columns cost at least about n·P²/√(2S) reads for all pairs (Beaumont et al.
2022). Square blocks of pairs cost √2 of that; *cliques* of layers reach it: cut the layers into q² blocks, take
them as the points of the affine plane of order q, a prime power, and let a pass be a line. A line has q points, two
points lie on exactly one line, and so every pair of blocks meets in exactly one pass, each block being read q + 1
times where the bound says q.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.finite_fields import ORDERS, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stitchpipe.engine.planning.pairs import Pairs

Numbers: TypeAlias = npt.NDArray[np.integer[Any]]

MOST_BLOCKS = 1024
"""Two by two, more blocks than that are half a million passes: only where nothing else fits."""


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


def one_pass(layers: int) -> Design:
    """Return the design of a single pass over `layers` layers: each is read once."""
    return Design(np.zeros(layers, np.int64), np.zeros((1, 1), np.int64))


def designs(weights: Sequence[int], pairs: Pairs) -> Iterator[Design]:
    """Yield designs of several passes for some pairs: stripes of a hub, planes, and blocks two by two."""
    layers = pairs.layers
    compared_with_all = hub(pairs)
    if compared_with_all:
        others = [layer for layer in layers if layer not in compared_with_all]
        for count in _counts(min(len(others), MOST_BLOCKS)):
            yield stripes(blocks(weights, others, count))
    for order in (1, *ORDERS):
        for points, plane in ((order**2, lines), (order**2 + order + 1, projective_lines)):
            if 1 < points <= min(len(layers), MOST_BLOCKS):
                yield plane(order, blocks(weights, layers, points))
    for count in _counts(min(len(layers), MOST_BLOCKS)):
        yield couples(count, blocks(weights, layers, count))


def _counts(most: int) -> Iterator[int]:
    """Yield 2, 3, 4, 6, 9, … and last `most`."""
    count = 2
    while count < most:
        yield count
        count += count // 2
    yield most


def blocks(weights: Sequence[int], layers: Sequence[int], count: int) -> Numbers:
    """Cut layers into `count` blocks of about equal weight, heaviest layers first; return each layer's block."""
    load = [(0, number) for number in range(count)]
    block = np.zeros(len(weights), np.int64)
    for layer in sorted(layers, key=lambda index: (-weights[index], index)):
        held, lightest = load[0]
        block[layer] = lightest
        heapreplace(load, (held + weights[layer], lightest))
    return block


def lines(order: int, block: Numbers) -> Design:
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


def projective_lines(order: int, block: Numbers) -> Design:
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


def couples(count: int, block: Numbers) -> Design:
    """Return one pass for every two blocks: the least memory, and the most reading."""
    every = np.arange(count)
    return Design(block, np.minimum.outer(every, every) * count + np.maximum.outer(every, every))


def stripes(part: Numbers) -> Design:
    """Return passes that keep the hub and take the other layers part by part: the hub alone is read repeatedly."""
    every = np.arange(int(part.max()) + 1)
    return Design(part, np.maximum.outer(every, every))


def hub(pairs: Pairs) -> frozenset[int]:
    """Return the layers that are compared with all, if every pair holds one of them: a new model among old ones."""
    layers, matrix = pairs.layers, pairs.among(pairs.n_layers)
    partners = (matrix | matrix.T).sum(axis=1)
    with_all = frozenset(layer for layer in layers if partners[layer] == len(layers))
    others = np.array(sorted(set(range(len(matrix))) - with_all), np.int64)
    is_star = len(with_all) < len(layers) and not matrix[np.ix_(others, others)].any()
    return with_all if is_star else frozenset()
