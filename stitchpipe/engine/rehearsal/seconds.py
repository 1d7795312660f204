"""Seconds of a comparison's parts: its own code is timed on little, and counted by what the plan says there is of it.

Flops do not tell time: a narrow decomposition is mostly calls, several indices share one, and a layer's serves all of
its pairs. So the engine's own code is timed, in one thread: pairs of a few widths are finalised, and interpolated by
width; and leaves of small and of large layers are formed from a store in a temporary folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.engine.planning.cost import flops_of_view
from stitchpipe.engine.planning.rates import product_rate
from stitchpipe.engine.rehearsal.finalising import Trial, narrowing_flops, pairs_by_size
from stitchpipe.engine.rehearsal.imaging import image_seconds
from stitchpipe.engine.rehearsal.reading import reading_seconds
from storage import open_summaries

if TYPE_CHECKING:
    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.planning.comparison import Comparison
    from stitchpipe.engine.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class Seconds:
    """What one thread takes for a comparison.

    Attributes
    ----------
    reading
        Layers opened, read and made rows, leaves written.
    products
        Of rows, summed while layers are read.
    finalisation
        Pairs, from what leaves keep to numbers; products of rows that are kept, and intervals, included.
    images
        Indices over images, and permutation nulls.
    """

    reading: float
    products: float
    finalisation: float
    images: float

    @property
    def total(self) -> float:
        """Return all of it."""
        return self.reading + self.products + self.finalisation + self.images


def rehearsed(comparison: Comparison, plan: Plan, backend: Backend = numpy_backend) -> Seconds:
    """Return about how long a plan takes one thread of this machine.

    Takes a second or two, more where pairs of wide layers have many indices; writes 20 MiB to a temporary folder.
    """
    with TemporaryDirectory() as folder, threadpool_limits(limits=1), backend.one_thread():
        scratch = open_summaries(Path(folder) / "scratch")
        rate = product_rate(plan.precision, backend)
        kept = {space.view for formed in plan.passes for space in formed.spaces if space.leaf_samples}
        samples = sum(split.n_samples for split in plan.splits)
        flops = {
            view: samples * flops_of_view(plan.layers, plan.passes, view) for view in comparison.moment_pairs
        }
        finalising = narrowing_flops(plan) / rate
        for view, sizes in pairs_by_size(plan).items():
            trial = Trial(comparison, plan, view, scratch, keeps_rows=view in kept)
            finalising += trial.seconds_of(sizes)
            if view in kept:
                beyond = max(0, 1 - trial.samples / plan.splits[-1].n_samples)
                finalising += beyond * (1 + comparison.intervals) * flops[view] / rate
        return Seconds(
            reading=reading_seconds(plan, rate, Path(folder)) if plan.passes else 0.0,
            products=sum(of_view for view, of_view in flops.items() if view not in kept) / rate,
            finalisation=finalising,
            images=image_seconds(comparison, scratch),
        )
