"""A comparison carried out on Dask: shifts, leaves, then the finalisation of each chunk of pairs; and images.

Only addresses, the plan and numbers enter the graph. Workers read activations from the store and leave moments in
the folder of summaries, where the finalisations find them: no matrix travels between processes, and a worker that
dies takes nothing with it but the leaf it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from distributed import KilledWorker, as_completed

from stitchpipe.engine.cluster.cluster import ExecutionError
from stitchpipe.engine.keys import pass_key
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import finish, read_leaf, read_shifts
from stitchpipe.engine.samples.compare_images import blocks_of, compare_images
from stitchpipe.engine.samples.family_numbers import ComparedPairs, merge_maxima, with_families
from stitchpipe.engine.samples.kept_images import keep_images
from stitchpipe.engine.samples.kept_null_sums import keep_null_sums
from stitchpipe.engine.samples.minibatches import minibatch_numbers, minibatches

if TYPE_CHECKING:
    from distributed import Client, Future

    from stitchpipe.algebra.indices.cka_minibatch import MinibatchHSIC
    from stitchpipe.engine.moments.moment_comparison import MomentComparison
    from stitchpipe.engine.numbers import Float64, PairNumbers
    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.pairs import Pairs, Wanted
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import View

Report: TypeAlias = Callable[[int, int], None]
Given = TypeVar("Given")


class WorkerLostError(ExecutionError):
    """Workers died over the same task more often than Dask tries."""


def _always(_view: View, _chunk: Chunk) -> bool:
    return True


def execute(
    client: Client,
    comparison: MomentComparison,
    *,
    report: Report,
    wanted: Callable[[View, Chunk], bool] = _always,
    only: int | None = None,
) -> Iterator[PairNumbers]:
    """Carry out a plan; yield the numbers of each chunk of pairs as soon as they are there.

    `report` is called with (done, total) leaves and chunks. Chunks that are not `wanted` are not finalised, and of
    passes but `only` the one that is given. Leaves that an earlier, killed run left are not formed again. They are
    removed when the last chunk of their pass has been taken from this iterator, so that a caller that keeps each
    part's numbers can be killed at any time.

    Raises
    ------
    WorkerLostError
        Workers died again and again over the same task.
    """
    plan = comparison.plan
    given = client.submit(_given, comparison, pure=False)
    running = as_completed(loop=client.loop)
    passes = [
        _PassUnderWay(client, comparison, number, given, running, wanted)
        for number in (range(len(plan.passes)) if only is None else (only,))
    ]
    pass_of = {key: of_pass for of_pass in passes for key in of_pass.open}
    total, done = running.count(), 0
    report(done, total)
    for future in running:
        try:
            numbers = future.result() if future.key in pass_of or future.status == "error" else None
        except KilledWorker as error:
            raise WorkerLostError(
                where="comparison",
                expected=f"workers that live through a task of about {plan.cost.peak_bytes} bytes",
                found=str(error),
                remedy="Give the workers more memory (run.memory_limit_bytes), or run fewer of them.",
            ) from None
        done += 1
        report(done, total)
        if numbers is not None:
            yield numbers
            # The caller has come back for more, so that it has kept these.
            pass_of[future.key].taken(future.key)


class _PassUnderWay:
    """The tasks of one pass; `open` are the keys of the chunks that have not been taken."""

    def __init__(
        self,
        client: Client,
        comparison: MomentComparison,
        number: int,
        given: Future[MomentComparison],
        running: as_completed,
        wanted: Callable[[View, Chunk], bool],
    ) -> None:
        plan = comparison.plan
        formed, key = plan.passes[number], pass_key(plan, number)
        self.open: set[Any] = set()
        self._leaves = [
            KeptLeaves(comparison.resources, plan, number, split, key) for split in range(len(plan.splits))
        ]
        chunks = [
            chunk_number
            for chunk_number, chunk in enumerate(formed.chunks)
            if wanted(formed.tiles[chunk.tile].view, chunk)
        ]
        if not chunks:
            return
        early = -2 * number  # passes one after the other: leaves of one pass lie in the folder at a time
        kept: list[Future[None]] = []
        for split, leaves in enumerate(self._leaves):
            at = number, split, key
            shifts = client.submit(_keep_shifts, given, at, pure=False, priority=early + 1)
            kept += [
                client.submit(_keep_leaf, given, at, leaf, shifts, pure=False, priority=early)
                for leaf in range(len(leaves.split.leaves()))
            ]
        running.update(kept)
        for chunk_number in chunks:
            where = number, chunk_number, key
            future = client.submit(_finish, given, where, kept, pure=False, priority=early + 1)
            self.open.add(future.key)
            running.add(future)

    def taken(self, key: Any) -> None:
        """Note that a chunk's numbers have been taken; after the last one the leaves go."""
        self.open.discard(key)
        if not self.open:
            for leaves in self._leaves:
                leaves.delete()


def execute_images(
    client: Client, comparison: ImageComparison, pairs: Wanted, *, report: Report
) -> list[PairNumbers]:
    """Return the indices over images of all `pairs`, and the nulls of those of moments, both directions of each.

    Each layer's images are kept first, then blocks of layers are compared; all of these indices are symmetric. Pairs
    whose family is wanted only in part are compared with the whole of it. `report` is called with (done, total) layers,
    leaves and blocks.
    """
    given = client.submit(_given, comparison, pure=False)
    running = as_completed(loop=client.loop)
    kept: dict[tuple[View, int], Future[None]] = {}
    gathered: dict[View, _GatheredBlocks] = {}
    blocks: dict[Any, tuple[_GatheredBlocks, int]] = {}
    batches: dict[View, list[Future[MinibatchHSIC | None]]] = {}
    for view, asked in pairs.items():
        if any(name != "cka_minibatch" for name in comparison.indices[view]):
            wanted = comparison.families.completed(asked)
            gathered[view] = _GatheredBlocks(wanted)
            kept |= {
                (view, layer): client.submit(_keep, given, layer, view, pure=False) for layer in wanted.layers
            }
            for number, sides in enumerate(blocks_of(comparison.families, wanted)):
                needed = [kept[view, layer] for layer in {*sides[0], *sides[1]}]
                block = client.submit(_compare, given, view, *sides, needed, pure=False)
                blocks[block.key] = gathered[view], number
                running.add(block)
        if "cka_minibatch" in comparison.indices[view]:
            leaves = range(len(comparison.split.leaves()))
            batches[view] = [client.submit(_batches, given, view, leaf, pure=False) for leaf in leaves]
    running.update([*kept.values(), *chain.from_iterable(batches.values())])
    total = running.count()
    report(0, total)
    for done, future in enumerate(running, 1):
        report(done, total)
        if future.key in blocks:
            of_view, number = blocks[future.key]
            of_view.add(number, future.result())
    numbers: list[PairNumbers] = []
    for of_view in gathered.values():
        numbers += with_families(comparison.families, of_view.compared())
    for view, of_leaves in batches.items():
        of_batches = minibatch_numbers(comparison, view, [leaf.result() for leaf in of_leaves])
        numbers += [of_batches, of_batches.back()]
    return numbers


class _GatheredBlocks:
    """The blocks of a view as they come: each is let go when its numbers are here, and their maxima are one set."""

    def __init__(self, wanted: Pairs) -> None:
        self._wanted = wanted
        self._parts: dict[int, ComparedPairs] = {}
        self._maxima: dict[str, dict[int, Float64]] = {}

    def add(self, number: int, block: ComparedPairs) -> None:
        """Take a block."""
        self._parts[number] = merge_maxima(self._maxima, block)

    def compared(self) -> ComparedPairs:
        """Return what is wanted of all blocks, in their order."""
        joined = ComparedPairs.joined([self._parts[number] for number in sorted(self._parts)])
        return replace(joined, maxima=self._maxima).among(self._wanted)


def _given(comparison: Given) -> Given:
    """Return what was handed out: as a task's result it reaches each worker once, and is made again if one dies."""
    return comparison


def _leaves(comparison: MomentComparison, pass_number: int, split: int, key: str) -> KeptLeaves:
    return KeptLeaves(comparison.resources, comparison.plan, pass_number, split, key)


def _keep_shifts(comparison: MomentComparison, at: tuple[int, int, str]) -> None:
    read_shifts(_leaves(comparison, *at))


def _keep_leaf(comparison: MomentComparison, at: tuple[int, int, str], leaf: int, _shifts: None) -> None:
    read_leaf(_leaves(comparison, *at), leaf)


def _finish(
    comparison: MomentComparison, where: tuple[int, int, str], _leaves_of_pass: Sequence[None]
) -> PairNumbers:
    return finish(comparison, *where)


def _keep(comparison: ImageComparison, layer: int, view: View) -> None:
    keep_images(comparison, layer, view)
    keep_null_sums(comparison, layer, view)


def _compare(
    comparison: ImageComparison, view: View, sources: list[int], targets: list[int], _kept: list[None]
) -> ComparedPairs:
    return compare_images(comparison, view, sources, targets)


def _batches(comparison: ImageComparison, view: View, leaf: int) -> MinibatchHSIC | None:
    return minibatches(comparison, view, leaf)
