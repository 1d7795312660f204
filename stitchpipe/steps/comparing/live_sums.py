"""What networks that run over images leave of them: the sums that a comparison's workers would form from a dump.

They are kept under the very keys that the workers use, and are theirs to the last bit: blocks, shifts and the order
of all sums are the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe import capture
from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.algebra.indices.cka_minibatch import MinibatchHSIC
from stitchpipe.engine import keys
from stitchpipe.engine.moments import leaf_tasks
from stitchpipe.engine.samples.kept_images import is_pooled, keep_pooled
from stitchpipe.engine.samples.minibatches import batch_bounds, has_batches, keep_batches
from stitchpipe.rows import to_rows
from storage import WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    import numpy.typing as npt

    from stitchpipe.capture import Block, NetworkCapture
    from stitchpipe.engine import ImagesJob, LayerShape, Plan, SplitShape, Workplace

    Float64: TypeAlias = npt.NDArray[np.float64]

BLOCK_SAMPLES = 32
"""Samples of a block where no moments are formed."""


class Leaves:
    """The moments of one pass on one split, a leaf at a time.

    Parameters
    ----------
    step, split
        Numbers of the pass and of the split in the plan.
    """

    def __init__(self, place: Workplace, plan: Plan, step: int, split: int) -> None:
        self._place, self._plan, self._step, self._split = place, plan, step, split
        self._key = keys.pass_key(plan, step)
        self.layers: Sequence[int] = plan.passes[step].layers
        self.samples = plan.blocks.samples

    def missing(self, leaf: int) -> bool:
        """Return whether a leaf is still to be formed."""
        return not leaf_tasks.is_there(self._place, keys.leaf_key(self._key, self._split, leaf))

    def form(self, leaf: int, blocks: Iterator[Block], first: Callable[[int], Block]) -> None:
        """Form and keep a leaf from all its blocks; `first` gives so many of the split's first samples."""
        plan, shifts = self._plan, keys.shift_key(self._key, self._split)
        if not leaf_tasks.is_there(self._place, shifts):
            samples = first(leaf_tasks.shift_samples(plan, self._split)).values
            leaf_tasks.keep_shifts(
                self._place, plan, self._step, shifts, lambda index: samples[_name(plan.layers[index])]
            )
        leaf_tasks.form_leaf(
            self._place,
            plan,
            self._step,
            keys.leaf_key(self._key, self._split, leaf),
            shifts,
            ((one.size, [(i, one.values[_name(plan.layers[i])]) for i in self.layers]) for one in blocks),
        )


class Images:
    """What the indices over images need of the scored split: pooled images, and sums over minibatches.

    Pooled images are kept leaf by leaf until all are there: a run that is killed goes on at the next leaf.

    Parameters
    ----------
    pooled
        The layers whose images are compared.
    minibatches
        Whether sums over batches are needed.
    """

    def __init__(self, job: ImagesJob, *, pooled: Iterable[int], minibatches: bool) -> None:
        self._job, self._minibatches = job, minibatches
        self._leaves = job.split.leaves()
        self.layers: Sequence[int] = range(len(job.layers))
        self._pooled = tuple(index for index in pooled if not is_pooled(job, index))

    def missing(self, leaf: int) -> bool:
        """Return whether a leaf has images, or batches, that were not kept yet."""
        return self._lacks_images(leaf) or self._lacks_batches(leaf)

    def _lacks_images(self, leaf: int) -> bool:
        return bool(self._pooled) and leaf in self._parts and not self._has(self._parts[leaf])

    def _lacks_batches(self, leaf: int) -> bool:
        return self._minibatches and not has_batches(self._job.summaries, self._batches_key(leaf))

    @cached_property
    def _parts(self) -> Mapping[int, str]:
        """Return the keys of the pooled images of those leaves that hold some."""
        starts = [self._job.split.row_groups[row_groups[0]][0] for row_groups in self._leaves]
        return {
            leaf: self._job.work_key("pooled", "images", leaf)
            for leaf, start in enumerate(starts)
            if start < self._job.n_images
        }

    def _batches_key(self, leaf: int) -> str:
        return self._job.work_key("pooled", "batches", leaf)

    def _has(self, key: str) -> bool:
        return self._job.summaries.read_or_none(WORK, key, []) is not None

    def watched(self, leaf: int, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the blocks of a leaf as they come; keep what they give when the last one was taken."""
        job, total = self._job, None
        images: list[list[Float64]] = [[] for _ in self.layers]
        group: list[list[Float64]] = [[] for _ in self.layers]
        stops = {stop: start for start, stop in job.split.row_groups}
        for block in blocks:
            for index, parts in enumerate(group):
                parts.append(to_rows(block.values[_name(job.layers[index])], "pooled"))
            yield block
            stop = block.start + block.size
            if stop in stops:
                rows = [np.concatenate(parts) for parts in group]
                total = _merged(total, _batches_of(rows, stops[stop], stop) if self._minibatches else None)
                for parts, whole in zip(images, rows, strict=True):
                    parts.append(whole[: max(0, job.n_images - stops[stop])])
                group = [[] for _ in self.layers]
        if self._lacks_images(leaf):
            arrays = {f"rows{index}": np.concatenate(parts) for index, parts in enumerate(images)}
            job.summaries.write(WORK, self._parts[leaf], arrays, {}, durable=False)
        if self._lacks_batches(leaf):
            keep_batches(job.summaries, self._batches_key(leaf), total)

    def finish(self) -> None:
        """Put the pooled images of each layer together, and keep them as if they had been read."""
        summaries = self._job.summaries
        for index in self._pooled:
            parts = [
                summaries.read(WORK, key, [f"rows{index}"]).arrays[f"rows{index}"]
                for key in self._parts.values()
            ]
            keep_pooled(self._job, index, np.concatenate(parts))
        summaries.delete(WORK, self._parts.values())

    def forget(self) -> None:
        """Remove the sums over minibatches, once they were used."""
        self._job.summaries.delete(WORK, map(self._batches_key, range(len(self._leaves))))


def _merged(total: MinibatchHSIC | None, more: MinibatchHSIC | None) -> MinibatchHSIC | None:
    return more if total is None else total if more is None else total.merge(more)


def _batches_of(rows: Sequence[Float64], start: int, stop: int) -> MinibatchHSIC | None:
    """Return the sums over the batches of a row group, from its pooled rows by layer."""
    total: MinibatchHSIC | None = None
    with numpy_backend.one_thread():
        for first, last in batch_bounds(start, stop):
            batch = [layer[first - start : last - start] for layer in rows]
            total = _merged(total, MinibatchHSIC.from_batch(batch))
    return total


@dataclass(frozen=True)
class Sinks:
    """What is to be formed while networks run over a split: moments, images, or both."""

    split: SplitShape
    layers: Sequence[LayerShape]
    leaves: Leaves | None
    images: Images | None

    @cached_property
    def todo(self) -> tuple[int, ...]:
        """Return the leaves that the networks must run over."""
        sinks = [sink for sink in (self.leaves, self.images) if sink is not None]
        count = len(self.split.leaves())
        return tuple(leaf for leaf in range(count) if any(sink.missing(leaf) for sink in sinks))

    def names(self) -> set[tuple[str, str]]:
        """Return the layers that are needed, as model and layer."""
        sinks = [sink for sink in (self.leaves, self.images) if sink is not None]
        return {_name(self.layers[index]) for sink in sinks for index in sink.layers}

    def feed(self, leaf: int, sources: Mapping[str, NetworkCapture]) -> None:
        """Run the networks over the row groups of a leaf, and keep what is missing of it."""
        samples = BLOCK_SAMPLES if self.leaves is None else self.leaves.samples
        blocks: Iterator[Block] = (
            block
            for row_group in self.split.leaves()[leaf]
            for block in capture.stored_blocks(sources, row_group, samples=samples)
        )
        if self.images is not None and self.images.missing(leaf):
            blocks = self.images.watched(leaf, blocks)
        if self.leaves is not None and self.leaves.missing(leaf):
            self.leaves.form(
                leaf, blocks, lambda count: next(capture.stored_blocks(sources, 0, samples=count))
            )
        else:
            deque(blocks, maxlen=0)


def _name(layer: LayerShape) -> tuple[str, str]:
    return layer.model, layer.layer
