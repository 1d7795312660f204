"""Two CIFAR ResNets and their dumps: what the comparison of all pairs of layers is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import torch

from stitchpipe.capture import dump
from stitchpipe.engine.memory import Evaluation
from stitchpipe.engine.plan import Plan, make_plan
from stitchpipe.engine.shapes import LayerShape, SplitShape
from stitchpipe.models import build, load_weights
from storage import Address, Store, open_store
from tests.benchmarks.dumped_network import Subject, dump_settings, image_split

if TYPE_CHECKING:
    from pathlib import Path

DEPTHS = {"resnet20": 3, "resnet56": 9}
"""Blocks in each of the three stages (He et al. 2016, §4.2)."""
SPLITS = ("train", "test")
INDICES = {
    "positions": ("cka_biased", "cca", "pwcca", "procrustes", "dm_r2"),
    "pooled": ("cka", "cka_biased", "cca", "pwcca", "procrustes", "dm_r2"),
}


def blocks(model: str) -> tuple[str, ...]:
    return tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(DEPTHS[model]))


@dataclass(frozen=True)
class Zoo:
    """The networks, and images cut into four fifths to fit maps on and one to score them."""

    images: Subject
    weights: dict[str, Path | None]

    def network(self, model: str) -> torch.nn.Module:
        depth = DEPTHS[model]
        net = build(
            "cifar_resnet", {"num_classes": 10, "blocks": [depth] * 3, "widths": [16, 32, 64]}, seed=0
        )
        path = self.weights[model]
        if path is not None:
            load_weights(net, path)
        return net.eval()

    def dumped(self, root: Path, n_images: int) -> Store:
        """Dump every block of both networks on the first images, float16."""
        store = open_store(root, mode="a")
        for split, (start, stop) in zip(
            SPLITS, ((0, n_images * 4 // 5), (n_images * 4 // 5, n_images)), strict=True
        ):
            pixels = self.images.pixels[start:stop]
            ids = tuple(f"{position:06d}" for position in range(start, stop))
            store.add_split("benchmark", split, ids, row_groups=20)
            images = replace(
                image_split(stop - start, lambda at, pixels=pixels: pixels[torch.as_tensor(at)]),
                name=split,
                sample_ids=ids,
            )
            for model in DEPTHS:
                dump(
                    self.network(model),
                    images,
                    store,
                    model=model,
                    architecture=model,
                    layers=blocks(model),
                    settings=dump_settings(),
                )
        return open_store(root)


def plan_of(store: Store, *, intervals: bool = False, **options) -> Plan:
    """Plan all pairs of all blocks of a dumped zoo under both views."""
    layers = []
    for model in DEPTHS:
        for layer in blocks(model):
            ends = [store.representation(Address("benchmark", split, model, layer)) for split in SPLITS]
            shape = ends[0].shape[1:]
            layers.append(LayerShape(model, layer, tuple(end.fingerprint for end in ends), shape, 2))
    splits = [
        SplitShape(
            "benchmark", split, store.representation(Address("benchmark", split, model, layer)).row_groups
        )
        for split in SPLITS
    ]
    pairs = frozenset(product(range(len(layers)), repeat=2))
    wanted = dict.fromkeys(INDICES, pairs)
    options = {"memory_limit_bytes": 2**30, **options}
    return make_plan(layers, wanted, splits=splits, evaluation=Evaluation(intervals=intervals), **options)
