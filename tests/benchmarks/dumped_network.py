"""The network and the images that the benchmarks dump."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from stitchpipe.capture import Settings, activations_of
from stitchpipe.data import ImageSplit, Reading, load_image_folder
from stitchpipe.models import build, load_weights
from storage import open_store

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from storage import Store

BLOCKS = tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3))
"""All nine residual blocks of a CIFAR ResNet-20."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 100


@dataclass(frozen=True)
class Subject:
    """A ResNet-20 (He et al. 2016, §4.2) and 32×32 images."""

    n_images: int
    images_root: Path | None = None
    weights: Path | None = None

    def describe(self) -> str:
        images = "random pixels" if self.images_root is None else "photographs"
        weights = "random weights" if self.weights is None else "trained weights"
        return f"{self.n_images} images, {images}, ResNet-20 with {weights}"

    @cached_property
    def network(self) -> torch.nn.Module:
        net = build("cifar_resnet", {"num_classes": 10, "blocks": [3, 3, 3], "widths": [16, 32, 64]}, seed=0)
        if self.weights is not None:
            load_weights(net, self.weights)
        return net.eval()

    @cached_property
    def pixels(self) -> torch.Tensor:
        """All images in memory, normalised: what is measured starts behind the decoder."""
        if self.images_root is None:
            return torch.randn((self.n_images, 3, 32, 32), generator=torch.Generator().manual_seed(0))
        reading = Reading(limit=self.n_images, mean=MEAN, std=STD)
        split = load_image_folder(self.images_root, name="photographs", splits=("test",), reading=reading)[
            "test"
        ]
        return split.batch(range(len(split)))

    @cached_property
    def images(self) -> ImageSplit:
        pixels = self.pixels
        return image_split(len(pixels), lambda positions: pixels[torch.as_tensor(positions)])

    @cached_property
    def activations(self) -> dict[str, npt.NDArray[np.float32]]:
        """The outputs of one block of each stage, float32."""
        batches = list(self.pixels[: min(2000, self.n_images)].split(BATCH))
        return activations_of(self.network, batches, ["layer1.1", "layer2.1", "layer3.1"])


def image_split(n_images: int, fetch) -> ImageSplit:
    return ImageSplit(
        dataset="benchmark",
        name="test",
        fetch=fetch,
        labels=None,
        sample_ids=tuple(f"{position:06d}" for position in range(n_images)),
        class_names=(),
        digest="0" * 64,
        preprocessing={},
    )


def store_with_split(root: Path, n_images: int, *, row_groups: int = 20) -> Store:
    store = open_store(root, mode="a")
    store.add_split(
        "benchmark", "test", [f"{position:06d}" for position in range(n_images)], row_groups=row_groups
    )
    return store


def dump_settings(**changes: object) -> Settings:
    return Settings(**{"dtype": "float16", "batch_size": BATCH, **changes})
