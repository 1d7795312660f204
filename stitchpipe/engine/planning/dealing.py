"""Which pairs share a reading of their layers, where not all moments fit into memory at once.

With room for S numbers, n rows of P columns cost at least about n·P²/√(2S) reads for all pairs (Beaumont et al.
2022). Square blocks of pairs cost √2 of that; *cliques* of layers reach it: cut the layers into q² blocks, take
them as the points of the affine plane of order q, a prime power, and let a pass be a line. A line has q points, two
points lie on exactly one line, and so every pair of blocks meets in exactly one pass, each block being read q + 1
times where the bound says q.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
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
    from collections.abc import Sequence

    from stitchpipe.engine.planning.pairs import Wanted
    from stitchpipe.rows import View

Numbers: TypeAlias = npt.NDArray[np.integer[Any]]
Design: TypeAlias = Callable[[Numbers, Numbers], Numbers]
"""From sources and targets of pairs ``[m]`` to the number of each one's pass ``[m]``."""


@dataclass(frozen=True, eq=False, slots=True)
class Together:
    """All pairs in one pass: nothing reads less, and of millions of pairs no list is made."""

    wanted: Wanted

    def bytes_read(self, sample_bytes: Numbers) -> int:
        """Return the bytes that one sample costs: each layer once."""
        layers = {layer for pairs in self.wanted.values() for layer in pairs.layers}
        return int(sample_bytes[list(layers)].sum())

    def least_products(self, widths: Mapping[View, Numbers]) -> float:
        """Return how many numbers the products are at least: one serves two pairs at most."""
        total = 0.0
        for view, pairs in self.wanted.items():
            of_layers = widths[view]
            rows = pairs.among(len(of_layers))
            total += sum(float(w * of_layers[row].sum()) for w, row in zip(of_layers, rows, strict=True))
        return total / 2

    def passes(self) -> Iterator[Wanted]:
        """Yield the pairs, by view, unless there is none."""
        if any(self.wanted.values()):
            yield {view: pairs for view, pairs in self.wanted.items() if pairs}


@dataclass(frozen=True, eq=False, slots=True)
class Dealt:
    """Pairs dealt out to passes: arrays of pairs ``[m, 2]`` and the numbers of their passes ``[m]``, by view."""

    pairs: Mapping[View, Numbers]
    numbers: Mapping[View, Numbers]

    @classmethod
    def by(cls, design: Design, pairs: Mapping[View, Numbers], *, together: bool) -> Dealt:
        """Deal pairs out, each view to its own passes unless `together`."""
        views = {} if together else {view: number for number, view in enumerate(pairs)}
        numbers = {view: design(of_view[:, 0], of_view[:, 1]) for view, of_view in pairs.items()}
        apart = len(pairs)
        return cls(pairs, {view: of_view * apart + views.get(view, 0) for view, of_view in numbers.items()})

    def bytes_read(self, sample_bytes: Numbers) -> int:
        """Return the bytes that one sample costs: Σ over passes of the layers of each."""
        count = len(sample_bytes)
        seen = [
            self.numbers[view].astype(np.int64) * count + side
            for view, pairs in self.pairs.items()
            for side in pairs.T
        ]
        if not seen:
            return 0
        return int(sample_bytes[_distinct(np.concatenate(seen)) % count].sum())

    def least_products(self, widths: Mapping[View, Numbers]) -> float:
        """Return how many numbers the products of some pass are at least: one serves two pairs at most."""
        if not self.pairs:
            return 0.0
        products = [widths[view][pairs].prod(axis=1) for view, pairs in self.pairs.items()]
        sums = np.bincount(np.concatenate(list(self.numbers.values())), np.concatenate(products))
        return float(sums.max()) / 2

    def passes(self) -> Iterator[Wanted]:
        """Yield the pairs of each pass, by view; passes without a pair are left out."""
        passes: dict[int, dict[View, Pairs]] = defaultdict(dict)
        count = 1 + max((int(pairs.max(initial=-1)) for pairs in self.pairs.values()), default=0)
        for view, numbers in self.numbers.items():
            order = np.argsort(numbers, kind="stable")
            starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
            for chosen in np.split(order, starts[1:]) if len(starts) else ():
                matrix = np.zeros((count, count), np.bool_)
                matrix[tuple(self.pairs[view][chosen].T)] = True
                passes[int(numbers[chosen[0]])][view] = Pairs(matrix)
        for number in sorted(passes):
            yield passes.pop(number)


def _distinct(numbers: Numbers) -> Numbers:
    """Return the distinct ones of numbers that are not negative; small ones without sorting them."""
    most = int(numbers.max()) + 1
    if most > _MARKED:
        return np.unique(numbers)
    marks = np.zeros(most, np.bool_)
    marks[numbers] = True
    return np.flatnonzero(marks).astype(np.int64)


_MARKED = 2**26
"""Numbers below this are told apart by marks in an array."""


def dealings(
    sample_bytes: Sequence[int], weights: Sequence[int], wanted: Wanted
) -> Iterator[Together | Dealt]:
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
    yield Together(wanted)
    pairs: dict[View, Numbers] = {view: of_view.places for view, of_view in wanted.items() if of_view}
    everything = reduce(or_, wanted.values(), Pairs.of([])).places
    sizes = np.array(sample_bytes, np.int64)
    ways = [
        (Dealt.by(design, pairs, together=together).bytes_read(sizes), number, design, together)
        for number, design in enumerate(designs(weights, everything))
        for together in ((True, False) if len(pairs) > 1 else (True,))
        if design is not _one_pass or not together
    ]
    for _, _, design, together in sorted(ways, key=lambda way: way[:2]):
        yield Dealt.by(design, pairs, together=together)


def _one_pass(sources: Numbers, _targets: Numbers) -> Numbers:
    return np.zeros_like(sources)


def designs(weights: Sequence[int], pairs: Numbers) -> Iterator[Design]:
    """Yield designs for some pairs ``[m, 2]``: one pass, stripes of a hub, planes, and blocks two by two."""
    yield _one_pass
    layers = np.unique(pairs).tolist()
    hub = _hub(pairs, layers)
    if hub:
        others = [layer for layer in layers if layer not in hub]
        for count in _counts(len(others)):
            yield _stripes(_blocks(weights, others, count))
    for order in (1, *ORDERS):
        for points, lines in ((order**2, _lines), (order**2 + order + 1, _projective_lines)):
            if 1 < points <= len(layers):
                yield lines(order, _blocks(weights, layers, points))
    for count in _counts(len(layers)):
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
    """Return the affine plane of an `order`: the pass of a pair is the line through its two blocks.

    Block b is the point (x, y) with b = x·order + y. The lines y = slope·x + c have numbers slope·order + c, the
    vertical ones x = c come behind them.
    """
    field = field_of(order)

    def line(sources: Numbers, targets: Numbers) -> Numbers:
        (x, y), (u, v) = (np.divmod(block[side], order) for side in (sources, targets))
        slope = field.over[field.minus[v, y], field.minus[u, x]]  # (v − y) / (u − x) in the field
        # Pairs within one block lie on every line through its point: they are spread evenly over the lines.
        slope = np.where((x == u) & (y == v), x, slope)
        through = slope * order + field.minus[y, field.times[slope, x]]
        return np.where((x == u) & (y != v), order * order + x, through)

    return line


def _projective_lines(order: int, block: Numbers) -> Design:
    """Return the projective plane of an `order`: the affine one, where lines of one slope meet at infinity.

    Block order² + slope is where all lines of a slope meet, order² + order where vertical ones do, and all of these lie
    on the line order² + order. Lines are numbered as those of the affine plane.
    """
    field, points = field_of(order), order**2
    affine = _lines(order, np.arange(points))

    def line(sources: Numbers, targets: Numbers) -> Numbers:
        near, far = np.minimum(block[sources], block[targets]), np.maximum(block[sources], block[targets])
        (x, y), slope = np.divmod(np.minimum(near, points - 1), order), np.maximum(far - points, 0)
        sloped = np.minimum(slope, order - 1)
        through = sloped * order + field.minus[y, field.times[sloped, x]]
        meeting = np.where(slope == order, points + x, through)
        found = np.where(
            far < points, affine(np.minimum(near, points - 1), np.minimum(far, points - 1)), meeting
        )
        found = np.where(near >= points, points + order, found)
        return np.where(near == far, alone[near], found)

    # Pairs within one block lie on every line through its point: each line gets those of one of its points. Lines that
    # are not vertical get (slope, y); (x, 0) is for the vertical ones, and what meets at infinity takes its place.
    x, y = np.divmod(np.arange(points), order)
    slopes = np.arange(order)
    freed = slopes * order + field.minus[0, field.times[slopes, slopes]]
    own = np.where(y == 0, points + x, x * order + field.minus[y, field.times[x, x]])
    alone = np.concatenate([own, freed, [points + order]])
    return line


def _couples(count: int, block: Numbers) -> Design:
    """Return one pass for every two blocks: the least memory, and the most reading."""

    def couple(sources: Numbers, targets: Numbers) -> Numbers:
        first, second = block[sources], block[targets]
        return np.minimum(first, second) * count + np.maximum(first, second)

    return couple


def _stripes(part: Numbers) -> Design:
    """Return passes that keep the hub and take the other layers part by part: the hub alone is read repeatedly."""
    return lambda sources, targets: np.maximum(part[sources], part[targets])


def _hub(pairs: Numbers, layers: Collection[int]) -> frozenset[int]:
    """Return the layers that are compared with all, if every pair holds one of them: a new model among old ones."""
    matrix = Pairs.of(map(tuple, pairs.tolist())).among(1 + int(pairs.max(initial=-1)))
    partners = (matrix | matrix.T).sum(axis=1)
    hub = frozenset(layer for layer in layers if partners[layer] == len(layers))
    whole = len(hub) == len(layers)
    held = np.isin(pairs, list(hub)).any(axis=1).all()
    return hub if held and not whole else frozenset()
