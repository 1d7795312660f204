"""What a comparison asks of the engine: indices over images, then those of moments, and the maps of stitches."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.certainty import FAR
from stitchpipe.engine import (
    ImageComparison,
    LiveImages,
    LiveLeaves,
    LiveSplit,
    MomentComparison,
    Pairs,
    TaskResources,
    without_grid,
)
from stitchpipe.engine.cluster import Cluster, execute, execute_images
from stitchpipe.run.networks import gpus
from stitchpipe.run.run_keys import STITCH_VIEW
from stitchpipe.steps.comparing.begun_comparison import BegunComparison
from stitchpipe.steps.comparing.live_networks import run_networks
from stitchpipe.steps.comparing.nulls import Nulls
from stitchpipe.steps.comparing.result_tables import ResultTables
from stitchpipe.steps.comparing.wanted import BegunMoments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from distributed import Client

    from stitchpipe.engine import PairNumbers
    from stitchpipe.rows import View
    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends
    from stitchpipe.steps.comparing.live_networks import LiveNetworks
    from stitchpipe.steps.comparing.wanted import Wanted
    from stitchpipe.steps.progress import Report

logger = logging.getLogger(__name__)


def carry_out(work: EngineRun, cluster: Cluster | None, report: Report) -> Iterator[pa.Table]:
    """Execute on Dask what is wanted, on a cluster of its own where none is given; nothing wanted starts none."""
    if not work.wanted.is_anything:
        report(1, 1)
        return
    # A cluster that was handed in is left running; one that is started here ends with the block.
    with (
        nullcontext(cluster) if cluster is not None else cluster_of(work.run) as chosen,
        chosen.watched() as client,
    ):
        work.run_networks(0, report)
        of_images = work.compare_images(client, report)
        yield from work.image_results(of_images)
        work.forget_batches()
        yield from work.compare_moments(client, of_images, report)


def cluster_of(run: Run, scheduler: str | None = None) -> Cluster:
    """Return the Dask cluster at an address, or the local one that a sweep declares, for all its comparisons.

    It is started when it is needed, and ended by leaving it as a context.
    """
    declared = run.sweep.run
    return Cluster(
        scheduler,
        workers=declared.workers,
        memory_limit_bytes=declared.memory_limit_bytes,
        patience_s=declared.cluster_patience_s,
        gpus=gpus(run.sweep) if declared.backend == "torch" and scheduler is None else 0,
    )


class EngineRun:
    """One run of the engine: indices over images, then those of moments.

    Parameters
    ----------
    networks
        Where activations are not kept: they run over each split for each pass of the plan.

    Attributes
    ----------
    nulls, nulls_apart
        How many permuted nulls were held against their closed form, and how many lie far from it.
    """

    def __init__(self, run: Run, ends: Ends, wanted: Wanted, networks: LiveNetworks | None = None) -> None:
        self.run, self.wanted, self._networks = run, wanted, networks
        self.nulls = self.nulls_apart = 0
        self._comparison = wanted.comparison(ends, run.sweep)
        self._tables = ResultTables(run, ends, self._comparison, wanted.keys)
        self._names = list(ends)
        self._numbers = {name: number for number, name in enumerate(ends)}

    @cached_property
    def _resources(self) -> TaskResources:
        store = self.run.store if self._networks is None else None
        return TaskResources(store, self.run.writable_summaries(), self.run.sweep.run.device)

    def run_networks(self, pass_number: int, report: Report) -> None:
        """Form what a pass needs while the networks run, and with the first pass what images are compared by.

        Nothing is done where activations are kept, and what is there is not formed again.
        """
        if self._networks is None:
            return
        moments, splits = self._moments, []
        is_left = moments is not None and moments.is_left(pass_number)
        for number, split in enumerate(self._comparison.splits):
            leaves = None
            if moments is not None and is_left:
                leaves = LiveLeaves(self._resources, moments.comparison.plan, pass_number, number)
            is_scored = split is self._comparison.splits[-1]
            images = self._live_images if pass_number == 0 and is_scored else None
            if leaves or images:
                splits.append(LiveSplit(split, self._comparison.layers, leaves, images))
        run_networks(self._networks, splits, report)

    @cached_property
    def _live_images(self) -> LiveImages | None:
        """Return what the networks leave for the indices over images."""
        if not self._image_pairs:
            return None
        names = self._comparison.over_images.get("pooled", ())
        is_compared = any(name != "cka_minibatch" for name in names)
        pairs = self._image_pairs.get("pooled", Pairs.of([])) if is_compared else Pairs.of([])
        layers = self._images.families.completed(pairs).layers
        return LiveImages(self._images, pooled=layers, minibatches="cka_minibatch" in names)

    def forget_batches(self) -> None:
        """Remove what was left for the indices over images and is used up."""
        if self._networks is not None and self._live_images is not None:
            self._live_images.forget()

    @cached_property
    def _images(self) -> ImageComparison:
        return ImageComparison.of(self._comparison, self._resources)

    @property
    def _image_pairs(self) -> dict[View, Pairs]:
        """Return the pairs that are compared image by image: for indices over images, or the null of others."""
        return {
            view: self._comparison.pairs[view]
            for view, names in self._comparison.over_images.items()
            if names
        }

    def compare_images(self, client: Client, report: Report) -> list[PairNumbers]:
        """Return the indices over images, and the null of those of moments."""
        pairs = self._image_pairs
        numbers = execute_images(client, self._images, pairs, report=report) if pairs else []
        self._hold_nulls_against_closed_form(numbers)
        return numbers

    def _hold_nulls_against_closed_form(self, numbers: Sequence[PairNumbers]) -> None:
        """Count the permuted nulls that lie far from their closed form, and say so where there are any."""
        for of_view in numbers:
            gaps = of_view.extras.get("null_gap", np.empty(0))
            self.nulls += int(np.isfinite(gaps).sum())
            self.nulls_apart += int((gaps > FAR).sum())
        if self.nulls_apart:
            logger.warning(
                "%d of %d permuted nulls lie more than %g standard errors from their closed form: trust p_value there, "
                "not p_closed; the column null_gap says where.",
                *(self.nulls_apart, self.nulls, FAR),
            )

    def image_results(self, numbers: Sequence[PairNumbers]) -> Iterator[pa.Table]:
        """Yield the results of the indices over images; what else was computed there are nulls of others."""
        for of_view in numbers:
            declared = np.isin(of_view.names, self._comparison.of_images[of_view.view])
            is_wanted = self.wanted.pairs[of_view.view][tuple(of_view.pairs.T)]
            yield self._tables.of(of_view.where(declared[of_view.index] & is_wanted))

    @cached_property
    def _moments(self) -> BegunMoments | None:
        """Return what is to be done with moments, maps included, or None."""
        pairs = self._comparison.moment_pairs
        if not pairs:
            return None
        # A run that was killed had a plan, and its sums lie under the keys of that plan. The same plan is
        # made again, and finished pairs are left out when it is carried out.
        begun, declared = BegunComparison(self.run.place.files, self._names, pairs), self.run.sweep.run
        plan = self._comparison.plan(
            begun.planned,
            memory_limit_bytes=declared.memory_limit_bytes,
            precision=declared.products,
            backend=declared.backend,
        )
        maps = {
            (STITCH_VIEW, (self._numbers[source], self._numbers[target])): by_family
            for (source, target), by_family in self.wanted.maps.items()
        }
        # The plan may hold pairs that the killed run had finished. These are the ones that are not.
        none = Pairs.of([])
        still = {view: pairs.get(view, none).among(len(self._names)) for view in begun.planned}
        comparison = MomentComparison.of(self._comparison, plan, self._resources, maps)
        return BegunMoments(comparison, begun, still)

    def compare_moments(
        self, client: Client, images: Sequence[PairNumbers], report: Report
    ) -> Iterator[pa.Table]:
        """Yield the results of the indices of moments part by part, and write the maps that are wanted.

        What `images` say of them stands beside them. Where activations are kept all passes are one graph; otherwise
        the networks run before each.
        """
        moments = self._moments
        if moments is None:
            return
        comparison, passes = moments.comparison, range(len(moments.comparison.plan.passes))
        nulls = Nulls(images, len(self._names))
        for numbers in without_grid(comparison):
            yield self._tables.of(numbers)
        for pass_number in [None] if self._networks is None else passes:
            if pass_number:  # those of the first pass have run
                self.run_networks(pass_number, report)
            for numbers in execute(client, comparison, report=report, wanted=moments.wants, only=pass_number):
                yield self._tables.of(nulls.beside(numbers))
        moments.begun.finish()
