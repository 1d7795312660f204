"""A small store of synthetic layers, and one Dask cluster for the tests that need no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stitchpipe.engine import LayerShape, MomentComparison, Pairs, SplitShape, TaskResources
from stitchpipe.engine.planning.memory import WORKER_BYTES
from stitchpipe.engine.planning.plan import make_plan
from storage import Address, Encoding, LayerSpec, Store, open_store, open_summaries

INDICES = ("cka_biased", "cca", "procrustes", "dm_r2", "dm_struct")

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
    return Pairs.every(len(layers))


@dataclass(frozen=True)
class Synthetic:
    """A store with one model's layers on some splits, and what a plan needs to know of them."""

    store: Store
    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    blocks: dict[tuple[str, str], np.ndarray]

    def plan(self, wanted=None, *, memory=2**30, **options):
        """Return the plan for some pairs by view, of all positions unless they are given."""
        wanted = wanted or {"positions": all_pairs(self.layers)}
        return make_plan(self.layers, wanted, splits=self.splits, memory_limit_bytes=memory, **options)

    def plan_of_several_passes(self, wanted=None, **options):
        """Return the plan for the most memory in which one pass does not fit."""
        plan = self.plan(wanted, **options)
        while len(plan.passes) == 1:
            room = plan.cost.peak_bytes - WORKER_BYTES
            plan = self.plan(wanted, memory=WORKER_BYTES + room - room // 16, **options)
        return plan

    def resources(self, folder=None) -> TaskResources:
        """Return where tasks find layers and leave leaves."""
        folder = Path(self.store.url).parent / "summaries" if folder is None else folder
        return TaskResources(self.store, open_summaries(folder))

    def comparison(
        self, plan, indices=INDICES, maps=None, *, intervals=False, folder=None
    ) -> MomentComparison:
        """Return a comparison of moments as it is handed to tasks."""
        views = {tile.view for work in plan.passes for tile in work.tiles}
        of_view = {
            view: tuple(one for one in indices if view != "positions" or one != "cka") for view in views
        }
        return MomentComparison(self.resources(folder), plan, of_view, maps or {}, intervals)


def written(
    root: Path, splits: dict[str, dict[str, np.ndarray]], *, row_groups: int, chunk=None, groups=None
) -> Synthetic:
    """Write the layers of some splits, as they are in order of the samples; `chunk` in bytes, `groups` by split."""
    store = open_store(root, mode="a")
    blocks, shapes, layers = {}, [], {}
    for split, of_split in splits.items():
        n = len(next(iter(of_split.values())))
        held = store.add_split(
            "data",
            split,
            [f"{split}-{k}" for k in range(n)],
            groups=(groups or {}).get(split),
            row_groups=row_groups,
        )
        dump = store.begin_dump(
            dataset="data",
            split=split,
            model="m",
            layers={
                name: LayerSpec(block.shape[1:], dtype=block.dtype.name) for name, block in of_split.items()
            },
            identity={"weights": "w", "data": split},
            provenance={},
            **({} if chunk is None else {"encoding": Encoding(chunk_bytes=chunk)}),
        )
        for row_group, (start, stop) in enumerate(held.row_groups):
            at = held.original_index[start:stop]
            dump.write(row_group, {name: block[at] for name, block in of_split.items()})
        dump.seal()
        shapes.append(SplitShape("data", split, held.row_groups, held.group_bounds))
        for name, block in of_split.items():
            blocks[split, name] = block[held.original_index]
            layers.setdefault(name, []).append(dump.fingerprint)
    last = list(splits)[-1]
    found = [
        LayerShape("m", name, tuple(fingerprints), block.shape[1:], block.itemsize, _chunk(store, last, name))
        for (name, fingerprints), block in zip(layers.items(), splits[last].values(), strict=True)
    ]
    return Synthetic(open_store(root), tuple(found), tuple(shapes), blocks)


def _chunk(store, split, name):
    return store.representation(Address("data", split, "m", name)).chunk_rows


def build(root: Path, *, row_groups: int = 10, samples: tuple[int, int] = (90, 61)) -> Synthetic:
    """Write correlated layers, some of them degenerate; `samples` of train and test."""
    rng = np.random.default_rng(5)
    mixing = {name: rng.normal(size=(12, np.prod(shape))) for name, shape in SHAPES.items()}
    splits = {}
    for split, n in zip(("train", "test"), samples, strict=True):
        hidden = np.random.default_rng(len(split)).normal(size=(n, 12))
        raw = {name: (hidden @ mixing[name]).reshape(n, *shape) + 3 for name, shape in SHAPES.items()}
        raw["dead"][:, 2] = 0.0
        raw["constant"][:] = 1.5
        raw["duplicate"][:, 3] = raw["duplicate"][:, 1]
        splits[split] = {name: block.astype(np.float32) for name, block in raw.items()}
    return written(root, splits, row_groups=row_groups)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory) -> Synthetic:
    return build(tmp_path_factory.mktemp("engine") / "store.zarr")


@pytest.fixture(scope="module")
def client(cluster):
    return cluster.client
