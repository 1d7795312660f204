"""Small stored representations and a small tail that the tests of stitching use."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from storage import Address, LayerSpec, open_store

N_SAMPLES = 61
CLASSES = 4
TARGET = (5, 4, 4)


def stored(path, values, *, labels=None, dtype="float32", row_groups=6):
    """Write ``values`` (in the data set's order) as one sealed layer and return its representation."""
    store = open_store(path, mode="a")
    ids = [f"sample-{i:03d}" for i in range(len(values))]
    split = store.add_split(
        "data",
        "train",
        ids,
        labels=labels,
        class_names=[str(i) for i in range(CLASSES)] if labels is not None else (),
        row_groups=row_groups,
    )
    values = np.asarray(values, dtype=dtype)
    dump = store.begin_dump(
        dataset="data",
        split="train",
        model="source",
        layers={"layer": LayerSpec(values.shape[1:], dtype)},
        identity={"weights": "w"},
        provenance={},
    )
    for row_group in dump.missing_row_groups():
        start, stop = split.row_groups[row_group]
        dump.write(row_group, {"layer": values[split.original_index[start:stop]]})
    dump.seal()
    return store.representation(Address("data", "train", "source", "layer"))


def images(shape=(3, 6, 6), n=N_SAMPLES, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype("float32")


def labels(n=N_SAMPLES):
    return np.arange(n) % CLASSES


class Tail(nn.Module):
    """A tail with batch statistics: activations ``(n, 5, 4, 4)`` → 4 logits."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.norm = nn.BatchNorm2d(TARGET[0])
        self.linear = nn.Linear(TARGET[0], CLASSES)
        with torch.no_grad():
            for tensor in (self.norm.weight, self.norm.running_mean, self.linear.weight, self.linear.bias):
                tensor.normal_(generator=generator)
            self.linear.weight[:, :CLASSES] += 3 * torch.eye(CLASSES)  # every class can win
            self.norm.running_var.uniform_(0.5, 2.0, generator=generator)

    def forward(self, x):
        return self.linear(nn.functional.leaky_relu(self.norm(x), 0.2).mean(dim=(2, 3)))
