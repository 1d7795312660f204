"""A representation as a torch data set for several workers; importable by them."""

from __future__ import annotations

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info


class Epoch(IterableDataset):
    """One shuffled epoch: every worker draws the same batches and takes its share of them."""

    def __init__(self, representation, *, batch_size, seed):
        self.representation, self.batch_size, self.seed = representation, batch_size, seed

    def __iter__(self):
        worker = get_worker_info()
        part, parts = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches = self.representation.shuffled_batches(self.batch_size, np.random.default_rng(self.seed))
        return (batch for number, batch in enumerate(batches) if number % parts == part)
