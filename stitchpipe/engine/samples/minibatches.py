"""Minibatch CKA: sums over batches of adjacent images, all layers together, formed leaf by leaf and merged in order.

They are formed by tasks that read the store, or kept as work in progress by whoever ran the networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.indices.cka_minibatch import BATCH_ROWS, MinibatchHSIC
from stitchpipe.engine.numbers import PairNumbers
from stitchpipe.measures import Number
from stitchpipe.rows import to_rows
from storage import WORK

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.engine.numbers import PairNumber
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import View
    from storage import Representation, Summaries


def minibatches(comparison: ImageComparison, view: View, leaf: int) -> MinibatchHSIC | None:
    """Return the HSIC of all layers over the batches of one leaf; None where it has no batch of 4 images."""
    key = comparison.work_key(view, "batches", leaf)
    if has_batches(comparison.summaries, key):
        return read_batches(comparison.summaries, key)
    total: MinibatchHSIC | None = None
    readers = [comparison.reader(index) for index in range(len(comparison.layers))]
    with threadpool_limits(limits=1):
        for place in comparison.split.leaves()[leaf]:
            _, start, stop = comparison.split.pieces[place]
            for first, last in batch_bounds(start, stop):
                batch = MinibatchHSIC.from_batch(_Batch(readers, np.arange(first, last), view))
                total = merged_batches(total, batch)
    return total


def merged_batches(total: MinibatchHSIC | None, more: MinibatchHSIC | None) -> MinibatchHSIC | None:
    """Return the sums over two sets of batches; either may hold none."""
    return more if total is None else total if more is None else total.merge(more)


def batch_bounds(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the batches of a piece: `BATCH_ROWS` adjacent images, and what is left of it where it is 4 or more."""
    for first in range(start, stop, BATCH_ROWS):
        last = min(stop, first + BATCH_ROWS)
        if last - first >= 4:
            yield first, last


def minibatch_numbers(
    comparison: ImageComparison, view: View, leaves: Sequence[MinibatchHSIC | None]
) -> PairNumbers:
    """Return minibatch CKA of all pairs, each in one direction, from the HSIC of the leaves, merged in order."""
    name = "cka_minibatch"
    total: MinibatchHSIC | None = None
    for leaf in leaves:
        total = merged_batches(total, leaf)
    numbers: list[PairNumber] = []
    for source in range(len(comparison.layers)):
        for target in range(source, len(comparison.layers)):
            images = None  # as many as the other indices have, where there was no batch
            try:
                if total is None:
                    raise _no_batch(comparison)
                number, images = Number(total.cka(source, target)), total.n
            except UndefinedIndexError as undefined:
                refusal = undefined.within(name)
                number = Number.missing(refusal.status, refusal.reason)
            numbers.append(comparison.number(view, (source, target), name, number, images))
    return PairNumbers.of(view, numbers)


def _no_batch(comparison: ImageComparison) -> UndefinedIndexError:
    return UndefinedIndexError(
        status="too_few_rows",
        where="cka_minibatch",
        expected="a row group of at least 4 images",
        found=f"{comparison.split.n_samples} images in {len(comparison.split.row_groups)} row groups",
        remedy="Dump fewer row groups, or more images.",
    )


class _Batch(Sequence["npt.NDArray[np.float64]"]):
    """One batch of every layer, read when it is asked for: one layer at a time is held."""

    def __init__(self, readers: Sequence[Representation], rows: npt.NDArray[np.int64], view: View) -> None:
        self._readers, self._rows, self._view = readers, rows, view

    def __len__(self) -> int:
        return len(self._readers)

    def __getitem__(self, layer: Any) -> Any:
        return to_rows(self._readers[layer].read_rows(self._rows), self._view)


def has_batches(summaries: Summaries, key: str) -> bool:
    """Return whether the sums under a key are kept."""
    return summaries.is_whole(WORK, key)


def keep_batches(summaries: Summaries, key: str, total: MinibatchHSIC | None) -> None:
    """Keep the sums over the batches of some images; None where there was no batch."""
    sums = {} if total is None else asdict(total)
    arrays = {name: value for name, value in sums.items() if isinstance(value, np.ndarray)}
    counts = {name: value for name, value in sums.items() if name not in arrays}
    summaries.write(WORK, key, arrays, counts, durable=False)


def read_batches(summaries: Summaries, key: str) -> MinibatchHSIC | None:
    """Return what `keep_batches` kept."""
    kept = summaries.read(WORK, key)
    if not kept.content:
        return None
    counts, sums = kept.content, kept.arrays
    return MinibatchHSIC(
        counts["n"], counts["batches"], sums["hsic"], sums["kernel_squares"], sums["mean_squares"]
    )
