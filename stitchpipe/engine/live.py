"""What networks that run over images leave of them: the sums that tasks would otherwise form from a store.

They are kept under the very keys that tasks use, and are theirs to the last bit: blocks, shifts and the order of all
sums are the same. A finalisation cannot tell who formed a leaf.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.algebra.indices.cka_minibatch import MinibatchHSIC
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.samples.kept_images import is_pooled, keep_pooled
from stitchpipe.engine.samples.minibatches import batch_bounds, has_batches, keep_batches, merged_batches
from stitchpipe.rows import to_rows
from storage import WORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.resources import TaskResources
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import Float64

BLOCK_SAMPLES = 32
"""Samples of a block where no moments are formed."""

LayerName: TypeAlias = tuple[str, str]
"""Model and layer."""


class LiveBlock(Protocol):
    """Some adjacent samples of every layer, as networks give them."""

    @property
    def start(self) -> int:
        """Where they begin in the split's stored order."""

    @property
    def size(self) -> int:
        """How many they are."""

    @property
    def values(self) -> Mapping[LayerName, npt.NDArray[Any]]:
        """``(size, *shape)`` by layer, as a store would hold them."""


class BlocksOf(Protocol):
    """Runs the networks over some images of a row group, and yields what they give in blocks of so many samples."""

    def __call__(
        self, row_group: int, *, samples: int, rows: tuple[int, int] | None = None
    ) -> Iterator[LiveBlock]:
        """Yield the blocks in order; `rows` are stored rows of the row group, default all."""


class LiveLeaves:
    """The moments of one pass on one split, a leaf at a time.

    Parameters
    ----------
    pass_number, split_number
        Of the plan.
    """

    def __init__(self, resources: TaskResources, plan: Plan, pass_number: int, split_number: int) -> None:
        self._leaves = KeptLeaves.of(resources, plan, pass_number, split_number)
        self._names = [_name(layer) for layer in plan.layers]
        self.layers: Sequence[int] = self._leaves.formed.layers
        self.samples = plan.blocks.samples

    def missing(self, leaf: int) -> bool:
        """Return whether a leaf is still to be formed."""
        return not self._leaves.has(leaf)

    def form(self, leaf: int, blocks: Iterator[LiveBlock], blocks_of: BlocksOf) -> None:
        """Form and keep a leaf from all its blocks; the shifts need the split's first samples, run once more."""
        if not self._leaves.has_shifts:
            first = next(blocks_of(0, samples=self._leaves.shift_samples)).values
            self._leaves.keep_shifts(lambda layer: first[self._names[layer]])
        by_layer = (
            (block.size, [(layer, block.values[self._names[layer]]) for layer in self.layers])
            for block in blocks
        )
        self._leaves.form(leaf, by_layer)


class LiveImages:
    """What the indices over images need of the scored split: pooled images, and sums over minibatches.

    Pooled images are kept leaf by leaf until all are there: a run that is killed goes on at the next leaf.

    Parameters
    ----------
    pooled
        The layers whose images are compared.
    minibatches
        Whether sums over batches are needed.
    """

    def __init__(self, comparison: ImageComparison, *, pooled: Iterable[int], minibatches: bool) -> None:
        self._comparison, self._minibatches = comparison, minibatches
        self._leaves = comparison.split.leaves()
        self.layers: Sequence[int] = range(len(comparison.layers))
        self._pooled = tuple(layer for layer in pooled if not is_pooled(comparison, layer))

    def missing(self, leaf: int) -> bool:
        """Return whether a leaf has images, or batches, that were not kept yet."""
        return self._lacks_images(leaf) or self._lacks_batches(leaf)

    def _lacks_images(self, leaf: int) -> bool:
        is_needed = bool(self._pooled) and leaf in self._parts
        return is_needed and not self._comparison.resources.has_work(self._parts[leaf])

    def _lacks_batches(self, leaf: int) -> bool:
        return self._minibatches and not has_batches(self._comparison.summaries, self._batches_key(leaf))

    @cached_property
    def _parts(self) -> Mapping[int, str]:
        """Return the keys of the pooled images of those leaves that hold some of the first images."""
        starts = [self._comparison.split.pieces[leaf[0]].start for leaf in self._leaves]
        return {
            leaf: self._comparison.work_key("pooled", "images", leaf)
            for leaf, start in enumerate(starts)
            if start < self._comparison.n_images
        }

    def _batches_key(self, leaf: int) -> str:
        return self._comparison.work_key("pooled", "batches", leaf)

    def watched(self, leaf: int, blocks: Iterator[LiveBlock]) -> Iterator[LiveBlock]:
        """Yield the blocks of a leaf as they come; keep what they give when the last one was taken."""
        comparison, total = self._comparison, None
        images: list[list[Float64]] = [[] for _ in self.layers]
        of_piece: list[list[Float64]] = [[] for _ in self.layers]
        start_of = {stop: start for _, start, stop in comparison.split.pieces}
        for block in blocks:
            for layer, parts in enumerate(of_piece):
                parts.append(to_rows(block.values[_name(comparison.layers[layer])], "pooled"))
            yield block
            stop = block.start + block.size
            if stop in start_of:  # the block is the last of its piece: batches never reach beyond one
                rows, start = [np.concatenate(parts) for parts in of_piece], start_of[stop]
                total = merged_batches(total, _batches_of(rows, start, stop) if self._minibatches else None)
                for parts, whole in zip(images, rows, strict=True):
                    parts.append(whole[: max(0, comparison.n_images - start)])
                of_piece = [[] for _ in self.layers]
        if self._lacks_images(leaf):
            arrays = {f"rows{layer}": np.concatenate(parts) for layer, parts in enumerate(images)}
            comparison.summaries.write(WORK, self._parts[leaf], arrays, {}, durable=False)
        if self._lacks_batches(leaf):
            keep_batches(comparison.summaries, self._batches_key(leaf), total)

    def finish(self) -> None:
        """Put the pooled images of each layer together, and keep them as if they had been read."""
        summaries = self._comparison.summaries
        for layer in self._pooled:
            name = f"rows{layer}"
            parts = [summaries.read(WORK, key, [name]).arrays[name] for key in self._parts.values()]
            keep_pooled(self._comparison, layer, np.concatenate(parts))
        summaries.delete(WORK, self._parts.values())

    def forget(self) -> None:
        """Remove the sums over minibatches, once they were used."""
        self._comparison.summaries.delete(WORK, map(self._batches_key, range(len(self._leaves))))


@dataclass(frozen=True)
class LiveSplit:
    """What is to be formed while networks run over a split: moments of a pass, images, or both."""

    split: SplitShape
    layers: Sequence[LayerShape]
    leaves: LiveLeaves | None
    images: LiveImages | None

    @cached_property
    def _formers(self) -> list[LiveLeaves | LiveImages]:
        return [former for former in (self.leaves, self.images) if former is not None]

    @cached_property
    def todo(self) -> tuple[int, ...]:
        """Return the leaves that the networks must run over."""
        count = len(self.split.leaves())
        return tuple(leaf for leaf in range(count) if any(former.missing(leaf) for former in self._formers))

    def names(self) -> set[LayerName]:
        """Return the layers that are needed."""
        return {_name(self.layers[layer]) for former in self._formers for layer in former.layers}

    def form(self, leaf: int, blocks_of: BlocksOf) -> None:
        """Run the networks over the pieces of a leaf, and keep what is missing of it."""
        samples = BLOCK_SAMPLES if self.leaves is None else self.leaves.samples
        pieces = [self.split.pieces[place] for place in self.split.leaves()[leaf]]
        blocks: Iterator[LiveBlock] = (
            block
            for piece in pieces
            for block in blocks_of(piece.row_group, samples=samples, rows=(piece.start, piece.stop))
        )
        if self.images is not None and self.images.missing(leaf):
            blocks = self.images.watched(leaf, blocks)
        if self.leaves is not None and self.leaves.missing(leaf):
            self.leaves.form(leaf, blocks, blocks_of)
        else:
            deque(blocks, maxlen=0)


def _batches_of(rows: Sequence[Float64], start: int, stop: int) -> MinibatchHSIC | None:
    """Return the sums over the batches of a piece, from its pooled rows by layer."""
    total: MinibatchHSIC | None = None
    with numpy_backend.one_thread():
        for first, last in batch_bounds(start, stop):
            batch = [layer[first - start : last - start] for layer in rows]
            total = merged_batches(total, MinibatchHSIC.from_batch(batch))
    return total


def _name(layer: LayerShape) -> LayerName:
    return layer.model, layer.layer
