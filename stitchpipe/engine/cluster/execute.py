"""A plan carried out on Dask: shifts, leaves, then the finalisation of each chunk of pairs.

Only addresses, the plan and numbers enter the graph. Workers read activations from the store and leave moments in
the folder of summaries, where the finalisations find them: no matrix travels between processes, and a worker that
dies takes nothing with it but the leaf it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from distributed import KilledWorker, as_completed

from stitchpipe.engine import keys
from stitchpipe.engine.cluster.cluster import ExecutionError
from stitchpipe.engine.moments import leaf_tasks
from stitchpipe.engine.samples.compare_images import BLOCK_LAYERS, compare_images
from stitchpipe.engine.samples.kept_images import keep_images
from stitchpipe.engine.samples.minibatches import minibatch_numbers, minibatches
from storage import WORK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client, Future

    from stitchpipe.algebra.indices.cka_minibatch import MinibatchHSIC
    from stitchpipe.engine.moments.finalise import Request
    from stitchpipe.engine.moments.leaf_tasks import Workplace
    from stitchpipe.engine.numbers import PairNumber
    from stitchpipe.engine.planning.pass_layout import Chunk
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.engine.samples.image_comparison import ImagesJob, Named
    from stitchpipe.rows import View

Report: TypeAlias = Callable[[int, int], None]
_Given = TypeVar("_Given")


class WorkerLostError(ExecutionError):
    """Workers died over the same task more often than Dask tries."""


def _always(_view: View, _chunk: Chunk) -> bool:
    return True


@dataclass(frozen=True)
class Job:
    """What every task of a comparison is given."""

    place: Workplace
    plan: Plan
    request: Request


def execute(
    client: Client,
    job: Job,
    *,
    report: Report,
    wanted: Callable[[View, Chunk], bool] = _always,
) -> Iterator[list[PairNumber]]:
    """Carry out a plan; yield the numbers of each chunk of pairs as soon as they are there.

    `report` is called with (done, total) leaves and chunks; chunks that are not `wanted` are not finalised. Leaves
    that an earlier, killed run left are not formed again. They are removed when the last chunk of their pass has
    been taken from this iterator, so that a caller that keeps each part's records can be killed at any time.

    Raises
    ------
    WorkerLostError
        Workers died again and again over the same task.
    """
    plan = job.plan
    given = client.submit(_given, job, pure=False)
    running = as_completed(loop=client.loop)
    passes = [_Running(client, given, plan, step, running, wanted) for step in range(len(plan.passes))]
    place = {key: one for one in passes for key in one.open}
    total, done = running.count(), 0
    report(done, total)
    for future in running:
        try:
            records = future.result() if future.key in place or future.status == "error" else []
        except KilledWorker as error:
            raise WorkerLostError(
                where="comparison",
                expected=f"workers that live through a task of about {plan.cost.peak_bytes} bytes",
                found=str(error),
                remedy="Give the workers more memory (run.memory_limit_bytes), or run fewer of them.",
            ) from None
        done += 1
        report(done, total)
        if future.key in place:
            yield records
            place[future.key].taken(future.key, job.place)


def execute_images(
    client: Client, job: ImagesJob, pairs: Mapping[View, frozenset[Pair]], *, report: Report
) -> dict[Named, PairNumber]:
    """Return the indices over images of all `pairs`, and the nulls of those of moments.

    Each layer's images are kept first, then blocks of layers are compared; all of these indices are symmetric.
    `report` is called with (done, total) layers, leaves and blocks.
    """
    given = client.submit(_given, job, pure=False)
    kept: dict[tuple[View, int], Future[None]] = {}
    blocks: list[Future[dict[Named, PairNumber]]] = []
    batches: dict[View, list[Future[MinibatchHSIC | None]]] = {}
    for view, of_view in pairs.items():
        layers = sorted({index for pair in of_view for index in pair})
        if any(name != "cka_minibatch" for name in job.indices[view]):
            kept |= {(view, one): client.submit(_keep, given, one, view, pure=False) for one in layers}
            runs = [layers[at : at + BLOCK_LAYERS] for at in range(0, len(layers), BLOCK_LAYERS)]
            for sides in combinations_with_replacement(runs, 2):
                needed = [kept[view, one] for one in {*sides[0], *sides[1]}]
                blocks.append(client.submit(_compare, given, view, *sides, needed, pure=False))
        if "cka_minibatch" in job.indices[view]:
            leaves = range(len(job.split.leaves()))
            batches[view] = [client.submit(_batches, given, view, leaf, pure=False) for leaf in leaves]
    waiting = [*kept.values(), *blocks, *(one for of_view in batches.values() for one in of_view)]
    for done, _ in enumerate(as_completed(waiting, loop=client.loop), 1):
        report(done, len(waiting))
    found = {named: number for block in blocks for named, number in block.result().items()}
    for view, parts in batches.items():
        found |= minibatch_numbers(job, view, [part.result() for part in parts])
    # Blocks beside the diagonal hold both directions of a pair, under other permutations: one of them counts.
    once = {named: number for named, number in found.items() if named[1][0] <= named[1][1]}
    return once | {(view, (t, s), name): number.swapped() for (view, (s, t), name), number in once.items()}


def _keep(job: ImagesJob, index: int, view: View) -> None:
    keep_images(job, index, view)


def _compare(
    job: ImagesJob, view: View, sources: list[int], targets: list[int], _kept: list[None]
) -> dict[Named, PairNumber]:
    return compare_images(job, view, sources, targets)


def _batches(job: ImagesJob, view: View, leaf: int) -> MinibatchHSIC | None:
    return minibatches(job, view, leaf)


def _given(job: _Given) -> _Given:
    """Return the job: as a task's result it reaches each worker once, and is made again if a worker dies."""
    return job


def _find_shifts(job: Job, step: int, split: int, key: str) -> str:
    return leaf_tasks.find_shifts(job.place, job.plan, step, split, key)


def _accumulate(job: Job, step: int, split: int, leaf: int, key: str, shifts: str) -> str:
    return leaf_tasks.accumulate(job.place, job.plan, step, split, leaf, key, shifts)


def _finish(job: Job, step: int, number: int, keys: list[tuple[str, list[str]]]) -> list[PairNumber]:
    return leaf_tasks.finish(job.place, job.plan, step, number, job.request, keys)


class _Running:
    """The tasks of one pass; `open` are the keys of the chunks that have not been taken."""

    def __init__(
        self,
        client: Client,
        given: Future[Job],
        plan: Plan,
        step: int,
        running: as_completed,
        wanted: Callable[[View, Chunk], bool],
    ) -> None:
        key = keys.pass_key(plan, step)
        chunks = [
            number
            for number, chunk in enumerate(plan.passes[step].chunks)
            if wanted(plan.passes[step].tiles[chunk.tile].view, chunk)
        ]
        self._left = [keys.shift_key(key, split) for split in range(len(plan.splits))]
        self.open: set[Any] = set()
        if not chunks:
            return
        early = -2 * step  # passes one after the other: leaves of one pass lie in the folder at a time
        sides: list[tuple[Future[str], list[Future[str]]]] = []
        for split, shape in enumerate(plan.splits):
            shifts = client.submit(_find_shifts, given, step, split, key, pure=False, priority=early + 1)
            leaves = [
                client.submit(_accumulate, given, step, split, leaf, key, shifts, pure=False, priority=early)
                for leaf in range(len(shape.leaves()))
            ]
            self._left += [keys.leaf_key(key, split, leaf) for leaf in range(len(leaves))]
            sides.append((shifts, leaves))
            running.update(leaves)
        for number in chunks:
            future = client.submit(_finish, given, step, number, sides, pure=False, priority=early + 1)
            self.open.add(future.key)
            running.add(future)

    def taken(self, key: Any, place: Workplace) -> None:
        """Note that a chunk's records have been taken; after the last one the leaves go."""
        self.open.discard(key)
        if not self.open:
            place.summaries.delete(WORK, self._left)
