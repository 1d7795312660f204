"""Which pairs share a reading of their layers, where not all moments fit into memory at once.

With room for S numbers, n rows of P columns cost at least about n·P²/√(2S) reads for all pairs (Beaumont et al.
2022). Square blocks of pairs cost √2 of that; *cliques* of layers reach it: cut the layers into q² blocks, take
them as the points of the affine plane of prime order q, and let a pass be a line. A line has q points, two points
lie on exactly one line, and so every pair of blocks meets in exactly one pass, each block being read q + 1 times
where the bound says q.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.engine.tiles import Pair
    from stitchpipe.rows import View

Wanted = Mapping["View", frozenset["Pair"]]
"""The pairs to compare, by view."""
Assignment = Callable[["Pair"], int]
"""Which pass a pair is formed in."""

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


def assignments(weights: Sequence[int], wanted: Wanted) -> Iterator[Assignment]:
    """Yield ways to deal pairs out to passes, from the least reading to the least memory.

    Parameters
    ----------
    weights
        The width of each layer: blocks are balanced by it.
    wanted
        The pairs.
    """
    yield lambda _: 0
    pairs = {pair for of_view in wanted.values() for pair in of_view}
    layers = sorted({index for pair in pairs for index in pair})
    hub = _hub(pairs, layers)
    if hub is not None:
        yield from _stripes(weights, layers, hub)
    for order in PRIMES:
        if order * order > len(layers):
            break
        yield _lines(order, _blocks(weights, layers, order * order))
    count = 2
    while count < len(layers):
        yield _couples(count, _blocks(weights, layers, count))
        count *= 2
    yield _couples(len(layers), {layer: number for number, layer in enumerate(layers)})


def passes_of(assignment: Assignment, wanted: Wanted) -> list[dict[View, frozenset[Pair]]]:
    """Return the pairs of each pass, by view; passes without a pair are left out."""
    found: dict[int, dict[View, set[Pair]]] = defaultdict(lambda: defaultdict(set))
    for view, pairs in wanted.items():
        for pair in pairs:
            found[assignment(pair)][view].add(pair)
    return [{view: frozenset(pairs) for view, pairs in found[number].items()} for number in sorted(found)]


def _blocks(weights: Sequence[int], layers: Sequence[int], count: int) -> dict[int, int]:
    """Cut layers into `count` blocks of about equal weight, heaviest layers first; return each layer's block."""
    load = [0] * count
    block: dict[int, int] = {}
    for layer in sorted(layers, key=lambda index: (-weights[index], index)):
        lightest = min(range(count), key=load.__getitem__)
        block[layer] = lightest
        load[lightest] += weights[layer]
    return block


def _lines(order: int, block: Mapping[int, int]) -> Assignment:
    """Return the affine plane of a prime `order`: the pass of a pair is the line through its two blocks."""

    def line(pair: Pair) -> int:
        (x, y), (u, v) = (divmod(block[index], order) for index in pair)
        if (x, y) == (u, v):
            slope = x  # spreads the pairs within blocks evenly over lines
        elif x == u:
            return order * order + x
        else:
            slope = (v - y) * pow(u - x, -1, order) % order
        return slope * order + (y - slope * x) % order

    return line


def _couples(count: int, block: Mapping[int, int]) -> Assignment:
    """Return one pass for every two blocks: the least memory, and the most reading."""

    def couple(pair: Pair) -> int:
        low, high = sorted(block[index] for index in pair)
        return low * count + high

    return couple


def _hub(pairs: set[Pair], layers: Sequence[int]) -> frozenset[int] | None:
    """Return the layers that are compared with all, if every pair holds one of them: a new model among old ones."""
    partners: dict[int, set[int]] = defaultdict(set)
    for source, target in pairs:
        partners[source].add(target)
        partners[target].add(source)
    hub = frozenset(layer for layer in layers if len(partners[layer]) == len(layers))
    whole = len(hub) == len(layers)
    return hub if hub and not whole and all(hub & set(pair) for pair in pairs) else None


def _stripes(weights: Sequence[int], layers: Sequence[int], hub: frozenset[int]) -> Iterator[Assignment]:
    """Yield passes that keep the hub and take the other layers part by part: the hub alone is read repeatedly."""
    others = [layer for layer in layers if layer not in hub]
    count = 2
    while count <= len(others):
        yield _stripe(_blocks(weights, others, count))
        count *= 2


def _stripe(part: Mapping[int, int]) -> Assignment:
    return lambda pair: max(part.get(index, 0) for index in pair)
