"""Training batches of stored activations and labels, epoch after epoch."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch

from storage.batches import shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy.typing as npt
    from torch import Tensor

    from stitchpipe.stitching.budget import TrainingBudget
    from storage import Representation
    from storage.batches import RowGroupReader

WINDOW_ROW_GROUPS = 8
"""How many row groups are shuffled together. The order of samples, hence every number, depends on it."""

HELD_BYTES = 256 * 2**20
"""A source that takes no more than this is read once and kept. No number depends on it."""


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


def training_batches(
    source: Representation, labels: npt.NDArray[np.int64], budget: TrainingBudget
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `budget.steps` batches: activations ``(n, …)`` float32 and labels ``(n,)``, shuffled anew each epoch.

    A source of up to `HELD_BYTES` is read once; a larger one streams from the store in every epoch,
    `WINDOW_ROW_GROUPS` shards at a time. The batches are the same.
    """
    reader: RowGroupReader = HeldRowGroups(source) if size_bytes(source) <= HELD_BYTES else source
    rng = np.random.default_rng(budget.seed)
    done = 0
    while True:
        epoch = shuffled_batches(reader, budget.batch_size, rng, window_row_groups=WINDOW_ROW_GROUPS)
        for rows, values in epoch:
            yield torch.from_numpy(values.astype(np.float32, copy=False)), torch.from_numpy(labels[rows])
            done += 1
            if done == budget.steps:
                return
