"""Seconds of numbers of single layers: each measure is tried on a few random layers, and counted by sizes.

The time is that of the processor and not of the clock: whoever else works on this machine is no part of a plan.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import thread_time
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra import CentredRows, Moments
from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.algebra.deletions import deletion_ranks, low_rank_deletions
from stitchpipe.algebra.layer_measure import LabelledRows, LayerContents
from stitchpipe.algebra.layers import layer_measure_named
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.engine.planning.rates import best_seconds, product_rate
from stitchpipe.engine.rehearsal.finalising import seconds_of_sizes
from stitchpipe.registry import index_named
from stitchpipe.rows import rows_per_sample, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.algebra.layer_measure import LayerMeasure
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.rows import View

TRIED_IMAGES: Final = 400
"""Images of either split of the layers that are tried, at most; of more, time is counted as it grows with them."""
GROWTH: Final = {"moments": 3, "images": 1, "labelled_images": 1}
"""With which power of its width a layer's time grows beyond the widths that are tried, by what a measure reads."""
OF_DELETIONS: Final = 2


@dataclass(frozen=True)
class LayerQuestions:
    """What every layer is asked under a view: measures of it, and indices that hold it against its components."""

    view: View
    measures: tuple[str, ...]
    deletions: tuple[str, ...]

    @property
    def reads_training(self) -> bool:
        """Whether the training images are read too."""
        return bool(self.deletions) or any(layer_measure_named(name).reads_labels for name in self.measures)

    def bytes_read(self, layers: Sequence[LayerShape], splits: Sequence[SplitShape]) -> int:
        """Return what is read of all layers, before compression."""
        read = splits if self.reads_training else splits[-1:]
        return sum(layer.sample_bytes * split.n_samples for layer in layers for split in read)


def layer_seconds(
    questions: Sequence[LayerQuestions],
    layers: Sequence[LayerShape],
    splits: Sequence[SplitShape],
    *,
    classes: int,
    rate: float | None = None,
) -> float:
    """Return about what one thread takes for all questions, reading left out.

    Parameters
    ----------
    classes
        Of the labels that probes tell.
    rate
        Flops a second of products, of which moments are formed; by default what this machine has.

    Notes
    -----
    Takes a second or two, some more where deletions by many indices are asked for. How many steps a probe's fit takes
    depends on the images; random classes that overlap stand for them.
    """
    with threadpool_limits(limits=1):
        rate = product_rate("float64", numpy_backend) if rate is None else rate
        return sum(_Trials(asked, splits, rate, classes).seconds(layers) for asked in questions)


@dataclass(frozen=True)
class _Trials:
    """Random layers that are asked the questions of one view."""

    asked: LayerQuestions
    splits: Sequence[SplitShape]
    rate: float
    classes: int

    def seconds(self, layers: Sequence[LayerShape]) -> float:
        view, n = self.asked.view, self.splits[-1].n_samples
        widths = Counter(float(width_of(layer.shape, view)) for layer in layers)
        # Of fewer images than features as many coordinates are held.
        held: Counter[float] = Counter()
        for p, count in widths.items():
            held[min(p, n + 1)] += count
        rows = [rows_per_sample(view, layer.grid) for layer in layers]
        products = sum(r * width_of(layer.shape, view) ** 2 for r, layer in zip(rows, layers, strict=True))
        seconds = 2.0 * n * products / self.rate
        for name in self.asked.measures:
            measure = layer_measure_named(name)
            basis = measure.measure.computed_from
            seconds += seconds_of_sizes(
                dict(held if basis == "moments" else widths), self._of_measure(measure), power=GROWTH[basis]
            )
        if self.asked.deletions:
            seconds += seconds_of_sizes(dict(widths), self._of_deletions, power=OF_DELETIONS)
        return seconds

    def _of_measure(self, measure: LayerMeasure) -> Callable[[int], float]:
        """Return what tells the seconds of a measure for a layer of a width."""
        # Nothing is read of moments but themselves; neighbours are looked for among all pairs of images.
        power = {"moments": 0, "images": 2, "labelled_images": 1}[measure.measure.computed_from]

        def seconds(p: int) -> float:
            contents = self._layer(p)
            took = _cpu_seconds(lambda: measure.number(contents))
            return took * self._more_images(both=measure.reads_labels) ** power

        return seconds

    def _of_deletions(self, p: int) -> float:
        contents = self._layer(p)
        if contents.train is None or contents.rows is None or contents.labels is None:
            return 0.0
        train, scored = contents.train, LabelledRows(contents.rows, contents.labels)
        indices = [index_named(name) for name in self.asked.deletions]

        def delete(ranks: Sequence[int]) -> float:
            return _cpu_seconds(
                lambda: low_rank_deletions(
                    train, scored, indices, images=len(scored.rows), storage_eps=EPS64, ranks=ranks
                )
            )

        # One rank in the middle stands for all of them.
        whole, one = delete(()), delete((max(1, p // 2),))
        count = len(deletion_ranks(min(p, self.splits[0].n_samples)))
        return (whole + count * max(0.0, one - whole)) * self._more_images(both=True)

    def _more_images(self, *, both: bool) -> float:
        """Return how many times as many images there are as are tried."""
        there = self.splits if both else self.splits[-1:]
        return sum(split.n_samples for split in there) / sum(self._tried(split) for split in there)

    def _tried(self, split: SplitShape) -> int:
        return min(TRIED_IMAGES, split.n_samples)

    def _layer(self, p: int) -> LayerContents:
        """Return a random layer of width p, of classes that overlap."""
        rng = np.random.default_rng(0)
        means = rng.standard_normal((self.classes, p))
        sides = []
        for split in (self.splits[0], self.splits[-1]):
            labels = np.arange(self._tried(split)) % self.classes
            noise = rng.standard_normal((len(labels), p)) * np.sqrt(p / 8)
            sides.append(LabelledRows(means[labels] + noise, labels.astype(np.int64)))
        train, scored = sides
        if p > len(scored.rows):
            moments = CentredRows.of(scored.rows).narrowed().moments
        else:
            moments = Moments.from_block(scored.rows)
        return LayerContents(moments, EPS64, scored.rows, scored.labels, train)


def _cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of something, by this thread; what it imports first is not counted."""
    work()
    return best_seconds(work, most=0.2, clock=thread_time)
