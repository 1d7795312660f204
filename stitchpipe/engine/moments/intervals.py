"""Intervals by leaving out one leaf at a time: a delete-a-group jackknife whose groups are the leaves.

Images are dealt to row groups by a hash, so that leaves are exchangeable. What a leaf contributed is taken off the
total (`Moments.without`): no row is read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.certainty import Interval, jackknife
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.engine.moments.evaluate import PairIndex, Values, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stitchpipe.algebra import Analysis, Index
    from stitchpipe.engine.moments.pair_moments import ChunkPairs
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.measures import IntervalRule


def intervals_of(
    analyses: Mapping[Pair, Analysis],
    values: Values,
    indices: Sequence[Index],
    left_out: Iterable[ChunkPairs],
    samples: Sequence[int],
) -> dict[PairIndex, Interval | None]:
    """Return the interval of every number there is; one leaf at a time is left out of all of them.

    Parameters
    ----------
    analyses
        Of all pairs, with the maps that were fitted: those stay as they are.
    left_out
        The pairs' moments without each leaf; one is held at a time.
    samples
        How many samples each leaf holds.
    """
    without: dict[PairIndex, list[float | None]] = {named: [] for named in values}
    for rest in left_out:
        of_rest: Values = {}
        for pair, analysis in analyses.items():
            evaluate(of_rest, pair, analysis.rescored(rest.pair(pair)), indices)
        for named, number in of_rest.items():
            without[named].append(number.value)
    rules = {index.name: index.measure.interval for index in indices}
    return {
        named: _interval(rules[named[1]], number.value, without[named], samples)
        for named, number in values.items()
        if number.value is not None
    }


def _interval(
    rule: IntervalRule | None, value: float, without: Sequence[float | None], samples: Sequence[int]
) -> Interval | None:
    """Return a number's interval; None where it has none, or no value without one of the groups."""
    defined = [rest for rest in without if rest is not None]
    if rule is None or len(defined) < len(without):
        return None
    try:
        return jackknife(value, defined, samples, about=rule)
    except UndefinedIndexError:
        return None
