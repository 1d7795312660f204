"""Pairs of random layers, compared image by image as a run does it: indices over images, and permutation nulls."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.rates import best_seconds
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.rehearsal.finalising import seconds_of_sizes
from stitchpipe.engine.resources import TaskResources
from stitchpipe.engine.samples.compare_images import compare_images
from stitchpipe.engine.samples.image_comparison import ImageComparison
from stitchpipe.engine.samples.kept_images import keep_gram, keep_pooled
from stitchpipe.engine.samples.kept_null_sums import keep_null_sums
from stitchpipe.rows import width_of

if TYPE_CHECKING:
    from stitchpipe.engine.planning.comparison import Comparison
    from stitchpipe.rows import View
    from storage import Summaries

SIDE: Final = 5
"""Layers on either side of the block that is tried."""
FEW: Final = (20, 40)
"""Permutations that are tried, where more are wanted: time is a straight line in them."""


def image_seconds(comparison: Comparison, scratch: Summaries) -> float:
    """Return what comparing images takes one thread; sums over minibatches are not counted."""
    seconds = 0.0
    for view, names in comparison.over_images.items():
        indices = tuple(name for name in names if name != "cka_minibatch")
        if not indices or not comparison.pairs.get(view):
            continue
        n = comparison.splits[-1].n_images
        # What is kept of flattened layers are Grams of the images, whatever the width.
        widths = np.array([min(n, width_of(layer.shape, view)) for layer in comparison.layers])
        wanted = comparison.pairs[view].among(len(widths))
        # A pair in either direction is compared once.
        once = Pairs(np.triu(wanted | wanted.T)).places
        roots, counts = np.unique(np.round(np.sqrt(widths[once].prod(axis=1))), return_counts=True)
        sizes = dict(zip(roots.tolist(), counts.tolist(), strict=True))
        trial = _Trial(comparison, view, indices, n, scratch)
        seconds += seconds_of_sizes(sizes, trial.seconds_a_pair, power=2)
        seconds += len(np.unique(once)) * trial.seconds_a_layer()
    return seconds


@dataclass(frozen=True)
class _Trial:
    """A block of random layers of one width under a view."""

    comparison: Comparison
    view: View
    indices: tuple[str, ...]
    n: int
    scratch: Summaries

    def seconds_a_pair(self, p: int) -> float:
        wanted = self.comparison.drawn
        if wanted <= FEW[1]:
            return self._timed(p, wanted)
        few, more = (self._timed(p, permutations) for permutations in FEW)
        return few + (wanted - FEW[0]) * max(0.0, more - few) / (FEW[1] - FEW[0])

    def seconds_a_layer(self) -> float:
        """Return what the sums of the closed-form nulls take, which are of n×n matrices whatever the width."""
        work = self._work("once", 8, 1, 0)
        begun = perf_counter()
        keep_null_sums(work, 0, self.view)
        return perf_counter() - begun

    def _work(self, name: str, p: int, count: int, permutations: int) -> ImageComparison:
        """Return a comparison of layers of width p, whose images are kept."""
        layers = tuple(LayerShape(f"m{k // SIDE}", str(k), (f"{name}{p}",), (p,), 2) for k in range(count))
        split = SplitShape("", "", ((0, self.n),))
        indices = {self.view: self.indices}
        work = ImageComparison(
            TaskResources(None, self.scratch), layers, split, indices, permutations, self.comparison.family
        )
        rng = np.random.default_rng(0)
        latent = rng.standard_normal((self.n, 32))
        keep = keep_pooled if self.view == "pooled" else keep_gram
        for number in range(len(layers)):
            rows = latent @ rng.standard_normal((32, p)) / 6 + 0.5 * rng.standard_normal((self.n, p))
            keep(work, number, rows)
        return work

    def _timed(self, p: int, permutations: int) -> float:
        work = self._work("", p, 2 * SIDE, permutations)
        for number in range(2 * SIDE):
            keep_null_sums(work, number, self.view)
        sides = range(SIDE), range(SIDE, 2 * SIDE)
        return best_seconds(lambda: compare_images(work, self.view, *sides), most=0.2) / SIDE**2
