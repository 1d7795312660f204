"""What forming leaves takes beside their products: of small and of large layers, formed as a plan's tasks do it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import read_leaf, read_shifts
from stitchpipe.engine.planning.chunks import Cutting
from stitchpipe.engine.planning.cost import flops_of_view
from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.pass_layout import pass_of
from stitchpipe.engine.planning.rates import REPEATS
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.resources import TaskResources
from storage import LayerSpec, open_store, open_summaries

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import View

LEAF_SAMPLES: Final = (32, 256)
"""Samples of the leaves of small layers that are formed: one tells what a layer costs, the other what a block does."""
SMALL, LARGE = (64,), (64, 16, 16)
SMALL_LAYERS: Final = 6


def reading_seconds(plan: Plan, rate: float, folder: Path) -> float:
    """Return what forming the leaves takes beside their products: layers opened, blocks read, bytes made rows.

    Parameters
    ----------
    rate
        Flops a second of products.
    folder
        An empty one, for a store and what is formed of it.
    """
    rates = _ReadRates.of(folder, plan, rate)
    samples = plan.blocks.samples
    seconds = 0.0
    for formed in plan.passes:
        layers = formed.layers
        bytes_of_sample = sum(plan.layers[layer].sample_bytes for layer in layers)
        for split in plan.splits:
            blocks = sum(-(-(stop - start) // samples) for _, start, stop in split.pieces)
            seconds += len(layers) * (len(split.leaves()) * rates.layer + blocks * rates.block)
            seconds += split.n_samples * bytes_of_sample * rates.byte
    return seconds


@dataclass(frozen=True, slots=True)
class _ReadRates:
    """Seconds for each layer of a leaf, for each block of it, and for each byte."""

    layer: float
    block: float
    byte: float

    @classmethod
    def of(cls, folder: Path, plan: Plan, rate: float) -> _ReadRates:
        """Form leaves of small layers and of a large one from a store that is written here."""
        views = {view for formed in plan.passes for view in (tile.view for tile in formed.tiles)}
        small = _Rehearsed(folder / "small", plan, views, [SMALL] * SMALL_LAYERS)
        short, long = (small.seconds(split) / SMALL_LAYERS for split in range(2))
        of_samples = [-(-n // plan.blocks.samples) for n in LEAF_SAMPLES]
        block = max(0.0, long - short) / (of_samples[1] - of_samples[0])
        large = _Rehearsed(folder / "large", plan, views, [LARGE])
        stored = 2 * prod(LARGE) * LEAF_SAMPLES[1]
        bulk = large.seconds(1) - large.flops(1) / rate
        return cls(
            layer=max(0.0, short - of_samples[0] * block),
            block=block,
            byte=max(0.0, bulk - of_samples[1] * block) / stored,
        )


class _Rehearsed:
    """Layers of noise in a store, and the plan of what is formed of them; one split for each size of `LEAF_SAMPLES`."""

    def __init__(
        self, folder: Path, plan: Plan, views: Collection[View], shapes: list[tuple[int, ...]]
    ) -> None:
        self._folder, self._formed = folder, 0
        store = open_store(folder / "store.zarr", mode="a")
        names = [f"layer{number}" for number in range(len(shapes))]
        fingerprints, splits = [], []
        for n in LEAF_SAMPLES:
            store.add_split("trial", str(n), [str(sample) for sample in range(n)], row_groups=1)
            specs = {
                name: LayerSpec(shape, dtype="float16") for name, shape in zip(names, shapes, strict=True)
            }
            dump = store.begin_dump(
                dataset="trial",
                split=str(n),
                model="trial",
                layers=specs,
                identity={"weights": ""},
                provenance={},
            )
            rng = np.random.default_rng(0)
            values = [np.maximum(rng.standard_normal((n, *shape)), 0).astype(np.float16) for shape in shapes]
            dump.write(0, dict(zip(names, values, strict=True)))
            dump.seal()
            fingerprints.append(dump.fingerprint)
            splits.append(SplitShape("trial", str(n), ((0, n),)))
        layers = tuple(
            LayerShape("trial", name, tuple(fingerprints), shape, 2)
            for name, shape in zip(names, shapes, strict=True)
        )
        kept = {space.view for formed in plan.passes for space in formed.spaces if space.leaf_samples}
        cutting = Cutting(leaf_samples={view: LEAF_SAMPLES[1] for view in views if view in kept})
        pairs = dict.fromkeys(views, Pairs.every(len(shapes)))
        self._store = store
        self._plan = replace(
            plan,
            layers=layers,
            splits=tuple(splits),
            passes=(pass_of(layers, pairs, cutting),),
            incomparable={},
        )

    def seconds(self, split: int) -> float:
        """Return what the leaf of a split takes, each time anew."""
        return min(self._form(split) for _ in range(REPEATS))

    def flops(self, split: int) -> float:
        """Return the flops of the products that it forms meanwhile."""
        views = {tile.view for tile in self._plan.passes[0].tiles}
        kept = {space.view for space in self._plan.passes[0].spaces if space.leaf_samples}
        of_sample = sum(flops_of_view(self._plan.layers, self._plan.passes, view) for view in views - kept)
        return float(LEAF_SAMPLES[split] * of_sample)

    def _form(self, split: int) -> float:
        self._formed += 1
        resources = TaskResources(self._store, open_summaries(self._folder / f"work{self._formed}"))
        leaves = KeptLeaves.of(resources, self._plan, 0, split)
        read_shifts(leaves)
        begun = time.perf_counter()
        read_leaf(leaves, 0)
        return time.perf_counter() - begun
