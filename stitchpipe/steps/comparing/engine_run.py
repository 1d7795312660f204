"""What a comparison asks of the engine: indices over images, then those of moments, and the maps of stitches."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from stitchpipe.algebra.samples import MOST_IMAGES
from stitchpipe.engine import (
    Evaluation,
    ImagesJob,
    Request,
    Workplace,
    indices_of_images,
    make_plan,
    without_grid,
)
from stitchpipe.engine.cluster import Cluster, Job, execute, execute_images
from stitchpipe.registry import index_measure
from stitchpipe.results import Result, Side, Subject
from stitchpipe.rows import grid_label
from stitchpipe.run.networks import gpus
from stitchpipe.run.run_keys import STITCH_VIEW, index_key
from stitchpipe.steps.comparing.live_networks import run_networks
from stitchpipe.steps.comparing.live_sums import Images, Leaves, Sinks
from stitchpipe.steps.comparing.under_way import ComparisonUnderWay
from stitchpipe.steps.comparing.wanted import MomentsTask, Wanted, shapes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from distributed import Client

    from stitchpipe.engine import Named, PairNumber
    from stitchpipe.rows import View
    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends
    from stitchpipe.run.names import Pair
    from stitchpipe.steps.comparing.live_networks import LiveNetworks
    from stitchpipe.steps.progress import Report


NULL: Final = ("p_value", "calibrated", "null_samples")
"""What a null says of a number, as it stands beside it."""


def carry_out(work: EngineRun, cluster: Cluster | None, report: Report) -> Iterator[list[Result]]:
    """Execute on Dask what is wanted, on a cluster of its own where none is given; nothing wanted starts none."""
    if not work.is_wanted:
        report(1, 1)
        return
    with nullcontext(cluster) if cluster is not None else cluster_of(work.run) as chosen:
        work.run_networks(0, report)
        of_images = work.compare_images(chosen.client, report)
        yield work.image_results(of_images)
        work.forget_batches()
        yield from work.compare_moments(chosen.client, of_images, report)


def cluster_of(run: Run, scheduler: str | None = None) -> Cluster:
    """Return the Dask cluster at an address, or the local one that a sweep declares, for all its comparisons.

    It is started when it is needed, and ended by leaving it as a context.
    """
    declared = run.sweep.run
    return Cluster(
        scheduler,
        workers=declared.workers,
        memory_limit_bytes=declared.memory_limit_bytes,
        gpus=gpus(run.sweep) if declared.backend == "torch" and scheduler is None else 0,
    )


class EngineRun:
    """One run of the engine: indices over images, then those of moments.

    Parameters
    ----------
    networks
        Where activations are not kept: they run over each split for each pass of the plan.
    """

    def __init__(self, run: Run, ends: Ends, wanted: Wanted, networks: LiveNetworks | None = None) -> None:
        self.run, self._wanted, self._networks = run, wanted, networks
        self._shapes, self._splits = shapes_of(ends, wanted)
        self._digests = tuple(end.test.digest for end in ends.values())
        self._names = list(ends)
        self._place = {name: number for number, name in enumerate(ends)}
        images = min(MOST_IMAGES, self._splits[-1].n_samples)
        self._of_images = {
            view: indices_of_images(view, names, self._shapes, images)
            for view, names in wanted.indices.items()
        }

    @property
    def is_wanted(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self._wanted.all_pairs())

    @cached_property
    def _workplace(self) -> Workplace:
        store = self.run.store if self._networks is None else None
        return Workplace(store, self.run.writable_summaries(), self.run.sweep.run.device)

    def run_networks(self, step: int, report: Report) -> None:
        """Form what a pass needs while the networks run, and with the first pass what images are compared by.

        Nothing is done where activations are kept, and what is there is not formed again.
        """
        if self._networks is None:
            return
        moments = self._moments
        is_left = moments is not None and moments.is_left(step)
        sinks = []
        for number, split in enumerate(self._splits):
            leaves = Leaves(self._workplace, moments.plan, step, number) if moments and is_left else None
            scored = split is self._splits[-1]
            images = self._pooled if step == 0 and scored else None
            if leaves or images:
                sinks.append(Sinks(split, self._shapes, leaves, images))
        run_networks(self._networks, sinks, report)

    @cached_property
    def _pooled(self) -> Images | None:
        """Return what the networks leave for the indices over images."""
        if self._images is None:
            return None
        job, pairs = self._images
        names = job.indices.get("pooled", ())
        compared = any(name != "cka_minibatch" for name in names)
        layers = {index for pair in pairs.get("pooled", ()) for index in pair} if compared else set()
        return Images(job, pooled=sorted(layers), minibatches="cka_minibatch" in names)

    def forget_batches(self) -> None:
        """Remove what was left for the indices over images and is used up."""
        if self._networks is not None and self._pooled is not None:
            self._pooled.forget()

    def _numbered(self, pairs: frozenset[Pair]) -> frozenset[tuple[int, int]]:
        return frozenset((self._place[source], self._place[target]) for source, target in pairs)

    @cached_property
    def _images(self) -> tuple[ImagesJob, dict[View, frozenset[tuple[int, int]]]] | None:
        """Return what is to be compared image by image, or None: those indices, and the null of those of moments."""
        permutations = self.run.sweep.certainty.permutations
        indices = {
            view: tuple(
                name
                for name in names
                if name in self._of_images[view]
                or (permutations and index_measure(name).null and view != "positions")
            )
            for view, names in self._wanted.indices.items()
        }
        pairs = {view: self._numbered(self._wanted.pairs[view]) for view, names in indices.items() if names}
        if not pairs:
            return None
        place = self._workplace
        job = ImagesJob(place.store, place.summaries, self._shapes, self._splits[-1], indices, permutations)
        return job, pairs

    def compare_images(self, client: Client, report: Report) -> dict[Named, PairNumber]:
        """Return the indices over images, and the null of those of moments."""
        return {} if self._images is None else execute_images(client, *self._images, report=report)

    def image_results(self, numbers: Mapping[Named, PairNumber]) -> list[Result]:
        """Return the results of the indices over images, in the order of the declared pairs."""
        return [
            self._result(numbers[view, (self._place[source], self._place[target]), name])
            for view, pairs in self._wanted.pairs.items()
            for source, target in sorted(pairs)
            for name in self._of_images[view]
        ]

    @cached_property
    def _moments(self) -> MomentsTask | None:
        """Return what is to be done with moments, maps included, or None."""
        indices = {
            view: tuple(name for name in names if name not in self._of_images[view])
            for view, names in self._wanted.indices.items()
        }
        pairs = {
            view: pairs
            for view, pairs in self._wanted.all_pairs().items()
            if indices.get(view) or (view == STITCH_VIEW and self._wanted.maps)
        }
        if not pairs:
            return None
        under_way = ComparisonUnderWay(self.run.place.files, pairs)
        run = self.run.sweep.run
        plan = make_plan(
            self._shapes,
            {view: self._numbered(of_view) for view, of_view in under_way.planned.items()},
            splits=self._splits,
            memory_limit_bytes=run.memory_limit_bytes,
            precision=run.products,
            evaluation=Evaluation.of(
                (index_measure(name) for names in indices.values() for name in names),
                intervals=self.run.sweep.certainty.intervals,
                maps=len({family for by_family in self._wanted.maps.values() for family in by_family}),
            ),
            backend=run.backend,
        )
        request = Request(
            indices={view: indices.get(view, ()) for view in under_way.planned},
            maps={
                (STITCH_VIEW, (self._place[source], self._place[target])): by_family
                for (source, target), by_family in self._wanted.maps.items()
            },
            intervals=self.run.sweep.certainty.intervals,
        )
        still = frozenset(
            (view, *pair) for view, of_view in pairs.items() for pair in self._numbered(of_view)
        )
        return MomentsTask(plan, request, under_way, still)

    def compare_moments(
        self, client: Client, nulls: Mapping[Named, PairNumber], report: Report
    ) -> Iterator[list[Result]]:
        """Yield the results of the indices of moments part by part, and write the maps that are wanted.

        Where activations are kept all passes are one graph; otherwise the networks run before each.
        """
        if self._moments is None:
            return
        plan, request = self._moments.plan, self._moments.request
        job = Job(self._workplace, plan, request)
        yield [self._with_null(found, nulls) for found in without_grid(plan, request)]
        for step in [None] if self._networks is None else range(len(plan.passes)):
            if step:  # those of the first pass have run
                self.run_networks(step, report)
            for numbers in execute(client, job, report=report, wanted=self._moments.wanted(step)):
                yield [self._with_null(found, nulls) for found in numbers]
        self._moments.under_way.finish()

    def _with_null(self, found: PairNumber, nulls: Mapping[Named, PairNumber]) -> Result:
        """Return the result of a number from moments, and beside it what the images' null says of it."""
        null = nulls.get((found.view, found.pair, found.index))
        if null is None or found.number.value is None:
            return self._result(found)
        extras = {name: null.number.extras.get(name) for name in NULL}
        return self._result(replace(found, number=found.number.beside(**extras)))

    def _result(self, found: PairNumber) -> Result:
        """Return a number of the engine as a result: with names, digests and its key."""
        source, target = (self._names[number] for number in found.pair)
        x, y = (self._digests[number] for number in found.pair)
        subject = Subject(
            source=Side(source.model, source.layer, found.p, x),
            target=Side(target.model, target.layer, found.q, y),
            view=found.view,
            grid=grid_label(found.grid),
            fit_split=self._splits[0].name if found.fitted else None,
            split=self._splits[-1].name,
            n_samples=found.n_samples,
            n_rows=found.n_rows,
            key=index_key(self._wanted.keys[found.view][source, target], found.index),
        )
        return Result.of(found.index, found.number, subject)
