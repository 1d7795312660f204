"""A small store of synthetic layers, and one Dask cluster for the tests that need no other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stitchpipe.engine.execute import cluster
from stitchpipe.engine.shapes import LayerShape, SplitShape
from storage import LayerSpec, Store, open_store

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = {
    "wide": (6, 4, 4),
    "coarse": (9, 2, 2),
    "dead": (5, 4, 4),
    "constant": (3, 2, 2),
    "duplicate": (4, 4, 4),
}

SPLIT = SplitShape("data", "test", tuple((start, min(start + 7, 61)) for start in range(0, 61, 7)))


def layers_of(shapes, itemsize=4, splits=1):
    """Return layers of some shapes, for plans of which nothing is read."""
    return [
        LayerShape(
            "m", f"layer{number}", tuple(f"{number}-{split}" for split in range(splits)), shape, itemsize
        )
        for number, shape in enumerate(shapes)
    ]


def all_pairs(layers):
    return frozenset(itertools.product(range(len(layers)), repeat=2))


@dataclass(frozen=True)
class Synthetic:
    """A store with one model's layers on two splits, and what a plan needs to know of them."""

    store: Store
    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    blocks: dict[tuple[str, str], np.ndarray]

    def place(self, name: str) -> int:
        return list(SHAPES).index(name)


def build(root: Path, *, row_groups: int = 10, samples: tuple[int, int] = (90, 61)) -> Synthetic:
    """Write correlated layers; `samples` of train and test."""
    rng = np.random.default_rng(5)
    mixing = {name: rng.normal(size=(12, np.prod(shape))) for name, shape in SHAPES.items()}
    store = open_store(root, mode="a")
    blocks, shapes = {}, []
    fingerprints: dict[str, list[str]] = {name: [] for name in SHAPES}
    for split, n in zip(("train", "test"), samples, strict=True):
        ids = [f"{split}-{number}" for number in range(n)]
        held = store.add_split("data", split, ids, row_groups=row_groups)
        hidden = np.random.default_rng(len(split)).normal(size=(n, 12))
        raw = {name: (hidden @ mixing[name]).reshape(n, *shape) + 3 for name, shape in SHAPES.items()}
        raw["dead"][:, 2] = 0.0
        raw["constant"][:] = 1.5
        raw["duplicate"][:, 3] = raw["duplicate"][:, 1]
        raw = {name: block.astype(np.float32)[held.original_index] for name, block in raw.items()}
        dump = store.begin_dump(
            dataset="data",
            split=split,
            model="m",
            layers={name: LayerSpec(shape) for name, shape in SHAPES.items()},
            identity={"weights": "w", "data": split},
            provenance={},
        )
        for row_group, (start, stop) in enumerate(held.row_groups):
            dump.write(row_group, {name: block[start:stop] for name, block in raw.items()})
        dump.seal()
        blocks |= {(split, name): block for name, block in raw.items()}
        shapes.append(SplitShape("data", split, held.row_groups))
        for name in SHAPES:
            fingerprints[name].append(dump.fingerprint)
    layers = tuple(
        LayerShape("m", name, tuple(fingerprints[name]), shape, 4) for name, shape in SHAPES.items()
    )
    return Synthetic(open_store(root), layers, tuple(shapes), blocks)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory) -> Synthetic:
    return build(tmp_path_factory.mktemp("engine") / "store.zarr")


@pytest.fixture(scope="session")
def client():
    with cluster(None, workers=2, memory_limit_bytes=2**30) as found:
        yield found
