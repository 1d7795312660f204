"""A small split and small layers that the tests of the store dump; importable by their child processes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from storage import Address, Dump, LayerSpec, Store, open_store

N_SAMPLES = 29
ROW_GROUPS = 4
SHAPES = {"layer1.0": (3, 4, 4), "blocks.1": (5, 6), "logits": (7,)}
IDS = [f"digits-{i:04d}" for i in range(N_SAMPLES)]
LABELS = np.arange(N_SAMPLES) % 10
MODEL = "net-a"


def activations(name, *, dtype="float32", n_samples=N_SAMPLES, scale=1.0):
    """Return the activations of one layer in the data set's order: the same in every process."""
    rng = np.random.default_rng([*name.encode(), n_samples])
    return (scale * rng.standard_normal((n_samples, *SHAPES[name]))).astype(dtype)


def new_store(path, *, row_groups=ROW_GROUPS, n_samples=N_SAMPLES):
    """Make a store with one split, ``digits/test``."""
    store = open_store(path, mode="a")
    store.add_split(
        "digits",
        "test",
        [f"digits-{i:04d}" for i in range(n_samples)],
        labels=np.arange(n_samples) % 10,
        class_names=[str(i) for i in range(10)],
        row_groups=row_groups,
    )
    return store


def begin(
    store,
    layers=tuple(SHAPES),
    *,
    identity=None,
    dtype="float32",
    model=MODEL,
    provenance=None,
    encoding=None,
):
    """Begin a dump of some layers."""
    return store.begin_dump(
        dataset="digits",
        split="test",
        model=model,
        layers={name: LayerSpec(SHAPES[name], dtype) for name in layers},
        identity={"weights": "w0"} if identity is None else identity,
        provenance={"versions": {"zarr": "3"}} if provenance is None else provenance,
        encoding=encoding,
    )


def blocks_of(dump: Dump, row_group, *, scale=1.0, noise=0.0):
    """Return one row group of every layer a dump writes."""
    start, stop = dump.split.row_groups[row_group]
    rows = dump.split.original_index[start:stop]
    blocks = {}
    for name, spec in dump.layers.items():
        values = activations(name, n_samples=dump.split.n_samples, scale=scale)[rows]
        blocks[name] = (values * np.float32(1 + noise)).astype(spec.dtype)
    return blocks


def finish(dump: Dump, *, scale=1.0, noise=0.0):
    """Write what is missing and seal."""
    for row_group in dump.missing_row_groups():
        dump.write(row_group, blocks_of(dump, row_group, scale=scale, noise=noise))
    dump.seal()


def dumped(path, **keywords):
    """Return a store with one sealed dump."""
    store = new_store(path)
    finish(begin(store, **keywords))
    return store


def address(layer="layer1.0", model=MODEL):
    return Address("digits", "test", model, layer)


def truth(store: Store, layer="layer1.0", *, dtype="float32"):
    """Return what a layer must read as, in storage order."""
    split = store.split("digits", "test")
    return activations(layer, n_samples=split.n_samples)[split.original_index].astype(dtype)


def tree(root):
    """Return relative path → bytes of every file that is not a leftover of a killed writer."""
    root = Path(root)
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            relative = path.relative_to(root).as_posix()
            if not relative.startswith("commits/partial/"):
                found[relative] = path.read_bytes()
    return found


def write_in_child(path, ready, *, identity=None, noise=0.0):
    """Dump in a process of its own, until done or killed; `ready` is a barrier or an event."""
    store = open_store(path, mode="a")
    dump = begin(store, identity=identity)
    if hasattr(ready, "wait") and hasattr(ready, "parties"):
        ready.wait(60)
    else:
        ready.set()
    finish(dump, noise=noise)
