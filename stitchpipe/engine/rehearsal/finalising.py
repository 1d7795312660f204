"""Pairs of random layers, finalised as a plan's tasks do it: at a few widths, and interpolated between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.engine.moments.chunk_moments import MergedLeaves
from stitchpipe.engine.moments.finalise import finalise
from stitchpipe.engine.moments.kept_rows import MomentsOfRows, SplitRows
from stitchpipe.engine.moments.moment_comparison import MomentComparison
from stitchpipe.engine.planning.chunks import Cutting
from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.pass_layout import pass_of
from stitchpipe.engine.planning.rates import best_seconds
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.planning.tiles import width
from stitchpipe.engine.resources import TaskResources
from stitchpipe.rows import rows_per_sample, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy.typing as npt

    from stitchpipe.engine.moments.chunk_moments import SplitMoments
    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.comparison import Comparison
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import View
    from storage import Summaries

    Sizes = dict[float, int]
    Rows = npt.NDArray[np.floating[Any]]

LARGEST: Final = 256
"""Width from which on time is extrapolated."""
COLUMNS: Final = 1024
"""Of the layers that are tried at once, about: as many as a task has."""
MOST_LAYERS, FEWEST_LAYERS = 64, 3
MOST_ROWS: Final = 2048
"""Rows that are multiplied for a trial; of more, the rest is counted at the rate of products."""
GROUPS: Final = 3
"""Groups that a trial leaves out."""


def seconds_of_sizes(sizes: Sizes, seconds_a_pair: Callable[[int], float], *, power: int) -> float:
    """Return what so many pairs of each size take: tried at three sizes at most, and interpolated between them.

    Beyond `LARGEST` time is taken to grow with a power of the size.
    """
    least, most = (min(LARGEST, max(2, round(end(sizes)))) for end in (min, max))
    tried = sorted({least, most, *([round((least * most) ** 0.5)] if most > 4 * least else [])})
    seconds = np.log([seconds_a_pair(p) for p in tried])
    wanted = np.array(list(sizes))
    found = np.exp(np.interp(np.log(wanted), np.log(tried), seconds))
    found *= np.maximum(1.0, wanted / tried[-1]) ** power
    return float(found @ np.array(list(sizes.values())))


def pairs_by_size(plan: Plan) -> dict[View, Sizes]:
    """Return how many directed pairs there are of each size: the width of a square product that costs as much."""
    found: dict[View, Counter[float]] = {}
    n = plan.splits[-1].n_samples
    for formed in plan.passes:

        def held(view: View, layer: int, formed: Pass = formed) -> int:
            features = width_of(plan.layers[layer].shape, view)
            return min(features, formed.coordinates(view) or features)

        for tile, sizes in formed.sizes(held):
            rows = n * rows_per_sample(tile.view, tile.grid)
            for widths, count in sizes.items():
                less, more = min(*widths, rows), max(widths)
                found.setdefault(tile.view, Counter())[float(np.cbrt(float(less * less * more)))] += count
    return {view: dict(of_view) for view, of_view in found.items()}


def narrowing_flops(plan: Plan) -> float:
    """Return the flops of what puts rows of more features than coordinates into these, for every task anew."""
    columns = 0
    samples = sum(split.n_samples for split in plan.splits)
    for formed in plan.passes:
        for grid in formed.chunks.grids:
            view = formed.tiles[grid.tile].view
            most = formed.coordinates(view)
            if most is None:
                continue
            of_runs = [
                np.array([sum(p for p in _widths(plan, view, run) if p > most) for run in side], np.int64)
                for side in (grid.targets, grid.sources)
            ]
            place = {run: column for column, run in enumerate(grid.sources)}
            for row, pairs in enumerate(grid.counts()):
                of_chunks = of_runs[0][row] + of_runs[1]
                same = place.get(grid.targets[row])
                if same is not None:  # a run with itself has its layers once
                    of_chunks[same] = of_runs[0][row]
                columns += int(of_chunks[pairs > 0].sum())
    # A triangular factor of [p, n] with p > n.
    return 2.0 * columns * samples**2


def _widths(plan: Plan, view: View, layers: Sequence[int]) -> list[int]:
    return [width_of(plan.layers[layer].shape, view) for layer in layers]


class Trial:
    """Finalises pairs of random layers of one width under a view, as a plan's tasks do."""

    def __init__(
        self, comparison: Comparison, plan: Plan, view: View, scratch: Summaries, *, keeps_rows: bool
    ) -> None:
        self._comparison, self._plan, self._view, self._keeps_rows = comparison, plan, view, keeps_rows
        self._scratch = scratch
        self.samples = max(GROUPS * 2, min(plan.splits[-1].n_samples, MOST_ROWS))
        edges = [self.samples * group // GROUPS for group in range(GROUPS + 1)]
        groups = tuple(pairwise(edges))
        self._splits = tuple(SplitShape("", split.name, groups) for split in plan.splits)
        self._leaves = len(plan.splits[-1].leaves())

    def seconds_of(self, sizes: Sizes) -> float:
        """Return what so many pairs of each size take."""
        return seconds_of_sizes(sizes, self._seconds_a_pair, power=3)

    def _seconds_a_pair(self, p: int) -> float:
        """Return what a directed pair of layers of one width takes, intervals included."""
        count = min(MOST_LAYERS, max(FEWEST_LAYERS, COLUMNS // p), len(self._plan.layers))
        shape = (p, 2, 2) if self._view == "positions" else (p,)
        layers = tuple(LayerShape("", str(number), ("",), shape, 2) for number in range(count))
        pairs = {self._view: Pairs.every(count)}
        cutting = Cutting(
            self.samples,
            self.samples * len(self._splits),
            leaf_samples={self._view: self.samples} if self._keeps_rows else {},
            products=2**62,
        )
        formed = pass_of(layers, pairs, cutting)
        plan = replace(self._plan, layers=layers, splits=self._splits, passes=(formed,), incomparable={})
        whole = self._timed(plan, intervals=False)
        if not self._comparison.intervals or self._leaves < 2:
            return whole / count**2
        left_out = max(0.0, self._timed(plan, intervals=True) - whole) / GROUPS
        return (whole + self._leaves * left_out) / count**2

    def _timed(self, plan: Plan, *, intervals: bool) -> float:
        # Nothing is reached; maps that are wanted besides are not fitted here.
        resources = TaskResources(None, self._scratch)
        indices = {self._view: self._comparison.of_moments.get(self._view, ())}
        work = MomentComparison(resources, plan, indices, {}, intervals)
        rows = [_rows(plan, self._view, seed) for seed in range(len(plan.splits))]

        def act() -> None:
            for number, chunk in enumerate(plan.passes[0].chunks):
                splits = [self._moments(plan, chunk, of_split) for of_split in rows]
                finalise(work, 0, number, splits[0] if len(splits) > 1 else None, splits[-1])

        return best_seconds(act, most=0.3)

    def _moments(self, plan: Plan, chunk: Chunk, rows: Mapping[int, Rows]) -> SplitMoments:
        """Return the moments of a chunk as leaves of this view give them."""
        sizes = [stop - start for start, stop in plan.splits[-1].row_groups]
        # In the order of the chunk: the rows of one side lie side by side.
        layers = dict.fromkeys((*chunk.sources, *chunk.targets))
        shifts = {layer: np.zeros(width_of(plan.layers[layer].shape, self._view)) for layer in layers}
        if self._keeps_rows:
            return MomentsOfRows(chunk, SplitRows({layer: rows[layer] for layer in layers}, sizes, shifts))
        first = {layer: rows[layer][:, : sizes[0]] for layer in layers}
        whole = MomentsOfRows(chunk, SplitRows(first, sizes[:1], shifts)).total()
        return MergedLeaves([lambda: whole] * len(sizes), sizes, shifts)


def _rows(plan: Plan, view: View, seed: int) -> dict[int, Rows]:
    """Return correlated rows of all layers, features first, with their norms where a row is an image."""
    rng, n = np.random.default_rng(seed), plan.splits[-1].n_samples
    latent, rows = rng.standard_normal((32, n)), {}
    for number, layer in enumerate(plan.layers):
        p = width_of(layer.shape, view)
        features = rng.standard_normal((p, 32)) @ latent / 6 + 0.5 * rng.standard_normal((p, n))
        norms = (features**2).sum(axis=0, keepdims=True) - p if width(layer, view) > p else features[:0]
        rows[number] = np.concatenate([features, norms]).astype(plan.precision)
    return rows
