"""Images that are none of the sweep's own, and what a target network makes of them: never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from stitchpipe.config import ConfigError
from stitchpipe.graph import extractor
from stitchpipe.ood import GeneratedImages
from stitchpipe.run.names import TRAIN
from stitchpipe.run.run_keys import FOREIGN_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from stitchpipe.run import Run

LIKE_IMAGES = 256
"""How many of the data's images tell generated ones their range."""
BATCH = 256


@dataclass(frozen=True)
class ForeignImages:
    """The images of one role: so many, by position, float32 ``(n, C, H, W)`` as the networks take them."""

    count: int
    batch: Callable[[Sequence[int]], Tensor]

    def representations(
        self, network: nn.Module, layer: str, device: torch.device, batches: Iterator[Sequence[int]]
    ) -> Iterator[Tensor]:
        """Yield a layer's activations of batch after batch of positions; one is in memory at a time."""
        run = extractor(network.to(device), [layer])
        for positions in batches:
            activations = run(self.batch(positions).to(device))[layer]
            yield activations.clone()  # made in inference mode, where a training could not use it

    def in_order(self) -> Iterator[Sequence[int]]:
        """Yield all positions once."""
        for start in range(0, self.count, BATCH):
            yield range(start, min(start + BATCH, self.count))

    def endless(self, batch_size: int, seed: int) -> Iterator[Sequence[int]]:
        """Yield positions in a new random order again and again."""
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(self.count)
            for start in range(0, self.count, batch_size):
                yield order[start : start + batch_size].tolist()


def foreign_images(run: Run, role: str) -> ForeignImages:
    """Return the images that the sweep's detector declares for ``auxiliary`` or ``sanity``.

    Raises
    ------
    ConfigError
        A data set's images have not the shape of the sweep's own.
    stitchpipe.data.DataError
        A data set cannot be read.
    """
    detector = run.sweep.ood.detector
    assert detector is not None  # noqa: S101 - asked for where there is one
    declared, own = getattr(detector, role), run.data.splits[TRAIN]
    if isinstance(declared, str):
        some = np.linspace(0, len(own) - 1, min(LIKE_IMAGES, len(own))).astype(int)
        like = own.batch(some.tolist()).numpy()
        seed = 2 * detector.seed + (role == "sanity")
        generated = GeneratedImages(declared, like, seed=seed)
        return ForeignImages(detector.images, lambda positions: torch.from_numpy(generated.batch(positions)))
    images = run.data.foreign(role, declared, FOREIGN_ROLES[role])
    wanted, shape = tuple(own.batch([0]).shape[1:]), tuple(images.batch([0]).shape[1:])
    if wanted != shape:
        raise ConfigError(
            where=f"ood.detector.{role}",
            expected=f"images of shape {wanted}, as the networks take them",
            found=f"{shape} in '{images.dataset}'",
            remedy="Set its `size` and `channels`, or name 'noise' or 'textures'.",
        )
    return ForeignImages(min(detector.images, len(images)), images.batch)
