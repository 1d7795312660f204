"""Training batches of stored activations, epoch after epoch; a training that was stopped goes on at its batch."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from storage.batches import shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage import Representation
    from storage.batches import RowGroupReader

Positions: TypeAlias = npt.NDArray[np.int64]

WINDOW_ROW_GROUPS = 8
"""How many row groups are shuffled together. The order of samples, hence every number, depends on it."""

HELD_BYTES = 256 * 2**20
"""Sources that take no more than this are read once and kept. No number depends on it."""


class HeldRowGroups:
    """A representation read once and kept in memory, in its storage dtype; read by row groups as from the store."""

    def __init__(self, source: Representation) -> None:
        self.row_groups = source.row_groups
        self._blocks = [source.read(row_group) for row_group in range(len(source.row_groups))]

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group's rows."""
        return self._blocks[row_group]


def size_bytes(source: Representation) -> int:
    """Return how much memory a representation takes when it is held."""
    return prod(source.shape) * source.dtype.itemsize


class Shelf:
    """Representations in memory, shared by all trainings that read them; the longest unused ones go first.

    Parameters
    ----------
    limit_bytes
        Of all together. What does not fit on its own streams from the store in every epoch.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = HELD_BYTES if limit_bytes is None else limit_bytes
        self._held: OrderedDict[str, tuple[int, HeldRowGroups]] = OrderedDict()

    def reader(self, source: Representation) -> RowGroupReader:
        """Return the representation, in memory if it fits there."""
        size, key = size_bytes(source), source.digest
        if size > self._limit:
            return source
        if key not in self._held:
            while self._held and size + sum(held for held, _ in self._held.values()) > self._limit:
                self._held.popitem(last=False)
            self._held[key] = (size, HeldRowGroups(source))
        self._held.move_to_end(key)
        return self._held[key][1]


@dataclass(frozen=True, slots=True)
class Place:
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
    def start(cls, seed: int) -> Place:
        """Return the place of the first batch."""
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
        Of each reader ``(n, …)``, as stored.
    """

    number: int
    rows: Positions
    values: Sequence[npt.NDArray[Any]]


class Batches:
    """Batches without end, of several representations of the same samples side by side.

    Parameters
    ----------
    passes
        For each pass over the images the readers that are walked side by side. Epochs take the passes in turn.
    batch_size
        Samples; the last batch of an epoch may have fewer.
    place
        Where to begin. Batches before it are read and left.

    Notes
    -----
    Samples are shuffled anew in each epoch, `WINDOW_ROW_GROUPS` shards at a time, each read once. The order follows
    from the place alone, and not from what is read: readers side by side give the same samples.
    """

    def __init__(self, passes: Sequence[Sequence[RowGroupReader]], batch_size: int, place: Place) -> None:
        self._passes, self._batch_size, self._place = passes, batch_size, place
        self._epoch = self._batches(skip=place.done)

    @property
    def place(self) -> Place:
        """Return where the next batch is."""
        return self._place

    def _batches(self, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of the epoch of the place, and go on to the next epoch's place."""
        start = self._place
        generators = [np.random.default_rng() for _ in self._passes[0]]
        for generator in generators:
            generator.bit_generator.state = dict(start.generator)
        number = start.epoch % len(self._passes)
        walks = [
            shuffled_batches(reader, self._batch_size, generator, window_row_groups=WINDOW_ROW_GROUPS)
            for reader, generator in zip(self._passes[number], generators, strict=True)
        ]
        for done, parts in enumerate(zip(*walks, strict=True), start=1):
            if done > skip:
                self._place = Place(start.epoch, start.generator, done)
                yield Batch(number, parts[0][0], [values for _, values in parts])
        self._place = Place(start.epoch + 1, generators[0].bit_generator.state, 0)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        """Return the next batch, of the next epoch where this one is through."""
        for batch in self._epoch:
            return batch
        self._epoch = self._batches()
        return next(self._epoch)
