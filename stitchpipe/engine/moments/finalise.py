"""From moments to numbers: every index of the pairs of one chunk, intervals, and the maps that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.maps import family_named
from stitchpipe.engine.moments.evaluate import PairIndex, Values, evaluate
from stitchpipe.engine.moments.intervals import intervals_of
from stitchpipe.engine.moments.leaf import merged
from stitchpipe.engine.moments.pair_moments import ChunkPairs
from stitchpipe.engine.numbers import PairNumber, PairNumbers
from stitchpipe.engine.planning.shapes import STORAGE_EPS
from stitchpipe.measures import Number
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.algebra.certainty import Interval
    from stitchpipe.engine.moments.leaf import ChunkMoments
    from stitchpipe.engine.moments.moment_comparison import MomentComparison
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.rows import View


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
    comparison: MomentComparison,
    pass_number: int,
    chunk_number: int,
    fitted_on: SplitMoments | None,
    scored_on: SplitMoments,
) -> PairNumbers:
    """Return the numbers of one chunk of a pass, and write the maps asked for.

    Maps are fitted on `fitted_on` and scored on `scored_on`; every other index is computed in-sample on the latter.
    An index without a value is a record with the reason. Intervals leave out one leaf at a time and keep
    the fitted maps as they are: they speak of the scored images, not of the choice of the training images.

    Notes
    -----
    O(pairs · (p³ + q³)) time, once more for each leaf with intervals; holds the chunk's moments on both splits
    and a leaf of each level of the merge.
    """
    plan, formed = comparison.plan, comparison.plan.passes[pass_number]
    chunk = formed.chunks[chunk_number]
    view = formed.tiles[chunk.tile].view

    def cut(moments: ChunkMoments, split: SplitMoments) -> ChunkPairs:
        return ChunkPairs(plan, pass_number, chunk_number, moments, split.shifts)

    with threadpool_limits(limits=1):
        fitted = None if fitted_on is None else cut(merged(fitted_on.leaves), fitted_on)
        total = merged(scored_on.leaves)
        scored = cut(total, scored_on)
        indices = [index_named(name) for name in comparison.indices.get(view, ())]
        values: Values = {}
        analyses: dict[Pair, Analysis] = {}
        for pair in chunk.pairs:
            fit = None if fitted is None else fitted.pair(pair)
            analysis = Analysis(scored.pair(pair), fit, _eps(plan, pair))
            for family, destination in comparison.maps.get((view, pair), {}).items():
                destination.keep(analysis.fitted(*family_named(family)))
            evaluate(values, pair, analysis, indices)
            # Maps are scored again without each leaf; whatever else was computed goes.
            analyses[pair] = (
                analysis.rescored(analysis.pair) if comparison.intervals else Analysis(analysis.pair)
            )
        intervals: Mapping[PairIndex, Interval | None] = {}
        if comparison.intervals and len(scored_on.leaves) > 1:
            left_out = (cut(total.without(leaf()), scored_on) for leaf in scored_on.leaves)
            intervals = intervals_of(analyses, values, indices, left_out, scored_on.samples)
    records = [
        _pair_number(plan, view, named, _with_limits(number, intervals.get(named)), analyses[named[0]].pair.n)
        for named, number in values.items()
    ]
    return PairNumbers.of(view, records)


def without_grid(comparison: MomentComparison) -> list[PairNumbers]:
    """Return the records of the pairs that no resize puts on one grid: a status and a reason, no number."""
    plan = comparison.plan
    refused: dict[View, list[PairNumber]] = {}
    for view, pair in plan.incomparable:
        shapes = [plan.layers[index].shape for index in pair]
        number = Number.missing(
            "no_common_grid",
            "expected two layers that both have positions (images, tokens), or two vectors, "
            f"found samples of shapes {shapes[0]} and {shapes[1]}",
        )
        refused.setdefault(view, []).extend(
            _pair_number(plan, view, (pair, name), number, 0) for name in comparison.indices.get(view, ())
        )
    return [PairNumbers.of(view, of_view) for view, of_view in refused.items()]


def _eps(plan: Plan, pair: Pair) -> tuple[float, float]:
    source, target = (STORAGE_EPS[plan.layers[index].itemsize] for index in pair)
    return source, target


def _pair_number(plan: Plan, view: View, named: PairIndex, number: Number, rows: int) -> PairNumber:
    """Return the record of a number; `rows` are those it was scored on."""
    pair, name = named
    return PairNumber(
        view=view,
        pair=pair,
        index=name,
        number=number,
        n_samples=plan.splits[-1].n_samples,
        n_rows=rows,
    )


def _with_limits(number: Number, interval: Interval | None) -> Number:
    return number if interval is None else number.beside(low=float(interval.low), high=float(interval.high))
