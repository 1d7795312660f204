"""Training batches of stored activations, epoch after epoch; a training that was stopped goes on at its batch."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from storage import shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage import RowGroupReader

Positions: TypeAlias = npt.NDArray[np.int64]

WINDOW_ROW_GROUPS = 8
"""How many row groups are shuffled together. The order of samples, hence every number, depends on it."""

AHEAD_BYTES = 64 * 2**20
"""How much is made ready while a step is under way. No number depends on it."""


@dataclass(frozen=True, slots=True)
class BatchPosition:
    """Where a training stands in its samples.

    Attributes
    ----------
    epoch
        Its number, from 0.
    generator
        The state of the random generator when the epoch began.
    done
        Batches of the epoch that were handed out.
    """

    epoch: int
    generator: Mapping[str, Any]
    done: int

    @classmethod
    def start(cls, seed: int) -> BatchPosition:
        """Return the position of the first batch."""
        return cls(0, np.random.default_rng(seed).bit_generator.state, 0)


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Some samples.

    Attributes
    ----------
    number
        Of the pass over the images that they were read from.
    rows
        Their positions in the store, ``[n]``.
    values
        Of each reader ``(n, …)``, as it reads them.
    after
        Where the next batch is.
    """

    number: int
    rows: Positions
    values: Sequence[npt.NDArray[Any]]
    after: BatchPosition


def endless_batches(
    passes: Sequence[Sequence[RowGroupReader]], batch_size: int, position: BatchPosition
) -> Iterator[Batch]:
    """Yield batches without end, of several representations of the same samples side by side.

    Parameters
    ----------
    passes
        For each pass over the images the readers that are walked side by side. Epochs take the passes in turn.
    batch_size
        Samples; the last batch of an epoch may have fewer.
    position
        Where to begin. Batches before it are read and left.

    Notes
    -----
    Samples are shuffled anew in each epoch, `WINDOW_ROW_GROUPS` shards at a time, each read once. The order follows
    from the position alone, and not from what is read: readers side by side give the same samples.
    """
    while True:
        # Each reader has a generator of its own in the same state, so that all are shuffled in the same way
        # though they are read independently.
        generators = [np.random.default_rng() for _ in passes[0]]
        for generator in generators:
            generator.bit_generator.state = dict(position.generator)
        number = position.epoch % len(passes)
        walks = [
            shuffled_batches(reader, batch_size, generator, window_row_groups=WINDOW_ROW_GROUPS)
            for reader, generator in zip(passes[number], generators, strict=True)
        ]
        for done, parts in enumerate(zip(*walks, strict=True), start=1):
            # A training that is taken up reads the batches it had before and drops them, because the order
            # within an epoch comes out of the reading.
            if done > position.done:
                after = BatchPosition(position.epoch, position.generator, done)
                yield Batch(number, parts[0][0], [values for _, values in parts], after)
        # The generators have all made the same draws by now, so that any of them gives the state for the
        # next epoch.
        position = BatchPosition(position.epoch + 1, generators[0].bit_generator.state, 0)


class ReadAhead:
    """Batches that a thread makes ready while the ones before are used; the same ones.

    Parameters
    ----------
    batches
        Where they come from; nobody else takes from it.
    count
        How many are taken in all: nothing is read that nobody asks for.
    limit_bytes
        How much is made ready; one batch at least.
    """

    def __init__(self, batches: Iterator[Batch], count: int, limit_bytes: int = AHEAD_BYTES) -> None:
        self._batches, self._left, self._limit = batches, count, limit_bytes
        self._thread = ThreadPoolExecutor(1, "batches")
        self._made: deque[Future[Batch]] = deque()
        # The size of a batch is not known before the first one is there, so one is asked for to begin with.
        self._fill(1)

    def __iter__(self) -> ReadAhead:
        return self

    def __next__(self) -> Batch:
        """Return the next batch; raises what prevented it."""
        if not self._made:
            raise StopIteration
        batch = self._made.popleft().result()
        size = sum(values.nbytes for values in batch.values)
        # The next batches are asked for after this one was taken, so that its memory is not counted twice.
        self._fill(max(1, self._limit // max(1, size)))
        return batch

    def _fill(self, depth: int) -> None:
        """Have so many made ready."""
        while self._left and len(self._made) < depth:
            self._made.append(self._thread.submit(next, self._batches))
            self._left -= 1

    def close(self) -> None:
        """End the thread; a read under way is waited for."""
        self._thread.shutdown(cancel_futures=True)
