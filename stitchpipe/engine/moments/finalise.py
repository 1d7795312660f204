"""From moments to numbers: every index of the pairs of one chunk, intervals, and the maps that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.description import IndexValue
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.jackknife import Interval, jackknife
from stitchpipe.algebra.map_families import family_named
from stitchpipe.engine.moments.leaf import merged
from stitchpipe.engine.moments.pair_moments import ChunkPairs
from stitchpipe.engine.numbers import PairNumber
from stitchpipe.engine.planning.shapes import STORAGE_EPS
from stitchpipe.engine.planning.tiles import native_grid
from stitchpipe.measures import Number
from stitchpipe.registry import index_measure
from stitchpipe.results import write_map
from stitchpipe.rows import View, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.engine.moments.leaf import ChunkMoments
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Pair

Named: TypeAlias = tuple["Pair", str]
"""An index of a pair."""
Found: TypeAlias = dict[Named, IndexValue | UndefinedIndexError]


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a plan's pairs.

    Attributes
    ----------
    indices
        Names by view: those that are computed from moments.
    maps
        Where fitted maps of a pair are to be written, by family (`stitchpipe.algebra.map_families.family_named`), by
        the view they are fitted under.
    intervals
        Whether each number gets an interval.
    """

    indices: Mapping[View, tuple[str, ...]]
    maps: Mapping[tuple[View, Pair], Mapping[str, str]]
    intervals: bool


@dataclass(frozen=True, eq=False, slots=True)
class SplitMoments:
    """The leaves of a chunk on one split, each loaded when it is needed.

    Attributes
    ----------
    leaves
        In order.
    samples
        How many samples each leaf holds.
    shifts
        What the moments' means are about, by layer.
    """

    leaves: Sequence[Callable[[], ChunkMoments]]
    samples: Sequence[int]
    shifts: Mapping[int, npt.NDArray[np.float64]]


def finalise(
    plan: Plan,
    step: int,
    number: int,
    request: Request,
    fitted_on: SplitMoments | None,
    scored_on: SplitMoments,
) -> list[PairNumber]:
    """Return the numbers of one chunk of a pass, and write the maps asked for.

    Maps are fitted on `fitted_on` and scored on `scored_on`; every other index is computed in-sample on the latter.
    An index without a value is a record with the reason. Intervals leave out one leaf at a time and keep
    the fitted maps as they are: they speak of the scored images, not of the choice of the training images.

    Notes
    -----
    O(pairs · (p³ + q³)) time, once more for each leaf with intervals; holds the chunk's moments on both splits
    and a leaf of each level of the merge.
    """
    work = plan.passes[step]
    chunk = work.chunks[number]
    view = work.tiles[chunk.tile].view
    with threadpool_limits(limits=1):
        train = None
        if fitted_on is not None:
            train = ChunkPairs(plan, step, number, merged(fitted_on.leaves), fitted_on.shifts)
        total = merged(scored_on.leaves)
        scored = ChunkPairs(plan, step, number, total, scored_on.shifts)
        found: Found = {}
        kept: dict[Pair, Analysis] = {}
        for pair in chunk.pairs:
            fit = None if train is None else train.pair(pair)
            analysis = Analysis(scored.pair(pair), fit, _eps(plan, pair))
            for family, path in request.maps.get((view, pair), {}).items():
                write_map(Path(path), analysis.fitted(*family_named(family)))
            _evaluate(found, pair, analysis, request.indices[view])
            # Maps are scored again without each leaf; whatever else was computed goes.
            kept[pair] = analysis.rescored(analysis.pair) if request.intervals else Analysis(analysis.pair)
        intervals: Mapping[Named, Interval | None] = {}
        if request.intervals and len(scored_on.leaves) > 1:
            left_out = (
                ChunkPairs(plan, step, number, total.without(leaf()), scored_on.shifts)
                for leaf in scored_on.leaves
            )
            intervals = _intervals(kept, found, request.indices[view], left_out, scored_on.samples)
    return [
        _pair_number(plan, view, named, value, intervals.get(named), kept[named[0]].pair.n)
        for named, value in found.items()
    ]


def without_grid(plan: Plan, request: Request) -> list[PairNumber]:
    """Return the records of the pairs that no resize puts on one grid: a status and a reason, no number."""
    found = []
    for view, pair in plan.incomparable:
        shapes = [plan.layers[index].shape for index in pair]
        undefined = UndefinedIndexError(
            status="no_common_grid",
            where=f"view '{view}'",
            expected="two layers that both have positions (images, tokens), or two vectors",
            found=f"samples of shapes {shapes[0]} and {shapes[1]}",
            remedy="Compare them under the view 'pooled'.",
        )
        found += [
            _pair_number(plan, view, (pair, name), undefined, None, 0) for name in request.indices[view]
        ]
    return found


def _eps(plan: Plan, pair: Pair) -> tuple[float, float]:
    source, target = (STORAGE_EPS[plan.layers[index].itemsize] for index in pair)
    return source, target


def _evaluate(found: Found, pair: Pair, analysis: Analysis, names: Sequence[str]) -> None:
    """Add every index of a pair to those found; a symmetric one is taken from the pair's other direction.

    A refusal is not: it says which side is at fault.
    """
    for name in names:
        back = found.get((pair[::-1], name)) if index_measure(name).symmetric else None
        found[pair, name] = back if isinstance(back, IndexValue) else _value(analysis, name)


def _value(analysis: Analysis, name: str) -> IndexValue | UndefinedIndexError:
    try:
        return analysis.value(name)
    except UndefinedIndexError as undefined:
        return undefined


def _intervals(
    analyses: Mapping[Pair, Analysis],
    found: Found,
    names: Sequence[str],
    left_out: Iterable[ChunkPairs],
    samples: Sequence[int],
) -> dict[Named, Interval | None]:
    """Return the interval of every number there is; one leaf at a time is left out of all of them."""
    without: dict[Named, list[IndexValue | UndefinedIndexError]] = {named: [] for named in found}
    for rest in left_out:
        others: Found = {}
        for pair, analysis in analyses.items():
            _evaluate(others, pair, analysis.rescored(rest.pair(pair)), names)
        for named, value in others.items():
            without[named].append(value)
    return {
        named: _interval(named[1], value, without[named], samples)
        for named, value in found.items()
        if isinstance(value, IndexValue)
    }


def _interval(
    name: str, value: IndexValue, without: Sequence[IndexValue | UndefinedIndexError], samples: Sequence[int]
) -> Interval | None:
    """Return a number's interval; None where it has none, or no value without one of the groups."""
    defined = [one.value for one in without if isinstance(one, IndexValue)]
    rule = index_measure(name).interval
    if rule is None or len(defined) < len(without):
        return None
    try:
        return jackknife(value.value, defined, samples, about=rule)
    except UndefinedIndexError:
        return None


def _pair_number(
    plan: Plan,
    view: View,
    named: Named,
    value: IndexValue | UndefinedIndexError,
    interval: Interval | None,
    rows: int,
) -> PairNumber:
    """Return a record of a number; `rows` are those it was scored on."""
    (source, target), name = named
    x, y = plan.layers[source], plan.layers[target]
    return PairNumber(
        view=view,
        pair=named[0],
        index=name,
        number=_number(value, interval),
        grid=native_grid(y, view),
        fitted=index_measure(name).held_out,
        n_samples=plan.splits[-1].n_samples,
        n_rows=rows,
        p=width_of(x.shape, view),
        q=width_of(y.shape, view),
    )


def _number(value: IndexValue | UndefinedIndexError, interval: Interval | None) -> Number:
    if isinstance(value, UndefinedIndexError):
        return Number.missing(value.status, value.reason)
    number = Number(value.value).beside(rank=value.rank, condition=value.condition)
    return number if interval is None else number.beside(low=float(interval.low), high=float(interval.high))
