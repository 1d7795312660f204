"""Two CIFAR ResNets and their dumps: what the comparison of all pairs of layers is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from stitchpipe.capture import dump
from stitchpipe.models import build, load_weights
from storage import Store, open_store
from tests.benchmarks.dumped_network import Subject, dump_settings, image_split
from tests.benchmarks.zoo_plan import DEPTHS, SPLITS, blocks

if TYPE_CHECKING:
    from pathlib import Path


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
