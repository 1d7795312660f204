"""Pairs of random layers, finalised as a plan's tasks do it: at a few widths, and interpolated between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.engine.moments.chunk_moments import MergedLeaves
from stitchpipe.engine.moments.finalise import finalise
from stitchpipe.engine.moments.kept_rows import MomentsOfRows, RowLayout
from stitchpipe.engine.moments.moment_comparison import MomentComparison
from stitchpipe.engine.planning.chunks import Cutting
from stitchpipe.engine.planning.pass_layout import pass_of
from stitchpipe.engine.planning.rates import best_seconds
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.planning.tiles import width
from stitchpipe.engine.resources import TaskResources
from stitchpipe.rows import rows_per_sample, width_of

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from stitchpipe.engine.moments.chunk_moments import SplitMoments
    from stitchpipe.engine.planning.comparison import Comparison
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import View
    from storage import Summaries

    Sizes = dict[float, int]
    Rows = npt.NDArray[np.floating[Any]]

LARGEST: Final = 256
"""Width from which on time is taken to grow with its cube."""
COLUMNS: Final = 1024
"""Of the layers that are tried at once, about: as many as a task has."""
MOST_LAYERS, FEWEST_LAYERS = 64, 3
MOST_ROWS: Final = 2048
"""Rows that are multiplied for a trial; of more, the rest is counted at the rate of products."""
GROUPS: Final = 3
"""Groups that a trial leaves out."""


def pairs_by_size(plan: Plan) -> dict[View, Sizes]:
    """Return how many directed pairs there are of each size: the width of a square product that costs as much."""
    found: dict[View, Counter[float]] = {}
    n = plan.splits[-1].n_samples
    for formed in plan.passes:
        for chunk in formed.chunks:
            tile = formed.tiles[chunk.tile]
            rows = n * rows_per_sample(tile.view, tile.grid)
            widths = np.zeros(len(plan.layers), np.int64)
            for layer in {*chunk.sources, *chunk.targets}:
                widths[layer] = width_of(plan.layers[layer].shape, tile.view)
            sizes = widths[np.array(chunk.pairs, np.int64)]
            less, more = np.minimum(sizes.min(axis=1), rows), sizes.max(axis=1)
            values, counts = np.unique(np.cbrt(less * less * more.astype(np.float64)), return_counts=True)
            found.setdefault(tile.view, Counter()).update(
                dict(zip(values.tolist(), counts.tolist(), strict=True))
            )
    return {view: dict(sizes) for view, sizes in found.items()}


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
        """Return what so many pairs of each size take: tried at a few, and interpolated between them."""
        least, most = (min(LARGEST, max(2, round(end(sizes)))) for end in (min, max))
        tried = sorted({least, most, *([round((least * most) ** 0.5)] if most > 4 * least else [])})
        seconds = np.log([self._seconds_a_pair(p) for p in tried])
        wanted = np.array(list(sizes))
        found = np.exp(np.interp(np.log(wanted), np.log(tried), seconds))
        found *= np.maximum(1.0, wanted / tried[-1]) ** 3
        return float(found @ np.array(list(sizes.values())))

    def _seconds_a_pair(self, p: int) -> float:
        """Return what a directed pair of layers of one width takes, intervals included."""
        count = min(MOST_LAYERS, max(FEWEST_LAYERS, COLUMNS // p), len(self._plan.layers))
        shape = (p, 2, 2) if self._view == "positions" else (p,)
        layers = tuple(LayerShape("", str(number), ("",), shape, 2) for number in range(count))
        pairs = {self._view: frozenset((one, other) for one in range(count) for other in range(count))}
        cutting = Cutting(
            self.samples,
            self.samples * len(self._splits),
            leaf_samples={self._view: self.samples} if self._keeps_rows else {},
            products=2**62,
        )
        formed = pass_of(layers, pairs, cutting)
        plan = replace(self._plan, layers=layers, splits=self._splits, passes=(formed,), incomparable=())
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
        chunks = range(len(plan.passes[0].chunks))

        def act() -> None:
            for chunk in chunks:
                splits = [self._moments(plan, chunk, of_split) for of_split in rows]
                finalise(work, 0, chunk, splits[0] if len(splits) > 1 else None, splits[-1])

        return best_seconds(act, most=0.3)

    def _moments(self, plan: Plan, chunk: int, rows: Rows) -> SplitMoments:
        """Return the moments of a chunk as leaves of this view give them."""
        formed = plan.passes[0]
        layout = RowLayout(plan, formed, formed.chunks[chunk])
        sizes = [stop - start for start, stop in plan.splits[-1].row_groups]
        shifts = {layer: np.zeros(width_of(plan.layers[layer].shape, self._view)) for layer in layout.layers}
        columns = layout.columns(range(len(plan.layers)))
        chosen = np.concatenate([rows[columns[layer]] for layer in layout.layers])
        if self._keeps_rows:
            return MomentsOfRows(layout, chosen, sizes, shifts)
        whole = MomentsOfRows(layout, chosen[:, : sizes[0]], sizes[:1], shifts).total()
        return MergedLeaves([lambda: whole] * len(sizes), sizes, shifts)


def _rows(plan: Plan, view: View, seed: int) -> Rows:
    """Return correlated rows of all layers, features first, with their norms where a row is an image."""
    rng = np.random.default_rng(seed)
    n = plan.splits[-1].n_samples
    latent, parts = rng.standard_normal((32, n)), []
    for layer in plan.layers:
        p = width_of(layer.shape, view)
        rows = rng.standard_normal((p, 32)) @ latent / 6 + 0.5 * rng.standard_normal((p, n))
        parts.append(rows)
        if width(layer, view) > p:
            parts.append((rows**2).sum(axis=0, keepdims=True) - p)
    return np.concatenate(parts).astype(plan.precision)
