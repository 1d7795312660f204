"""Images that are none of the sweep's own, and what a target network makes of them: never stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import TypeAdapter

from stitchpipe.config import ConfigError, Data
from stitchpipe.data import ImageSplit, load_splits
from stitchpipe.graph import extractor
from stitchpipe.ood import GeneratedImages
from stitchpipe.sweep.networks import TEST, TRAIN, splits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from stitchpipe.config import Sweep

ROLES = {"auxiliary": TRAIN, "sanity": TEST}
"""What foreign images are for, and which split of a data set serves."""
LIKE_IMAGES = 256
"""How many of the data's images tell generated ones their range."""
GENERATOR_VERSION = 1
"""Raised when generated images change."""
BATCH = 256
_DATA: TypeAdapter[Data] = TypeAdapter(Data)


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


def foreign_images(sweep: Sweep, role: str) -> ForeignImages:
    """Return the images that the sweep's detector declares for ``auxiliary`` or ``sanity``.

    Raises
    ------
    ConfigError
        A data set's images have not the shape of the sweep's own.
    stitchpipe.data.DataError
        A data set cannot be read.
    """
    detector = sweep.ood.detector
    assert detector is not None  # noqa: S101 - asked for where there is one
    declared, own = getattr(detector, role), splits(sweep.data)[TRAIN]
    if isinstance(declared, str):
        some = np.linspace(0, len(own) - 1, min(LIKE_IMAGES, len(own))).astype(int)
        like = own.batch(some.tolist()).numpy()
        seed = 2 * detector.seed + (role == "sanity")
        generated = GeneratedImages(declared, like, seed=seed)
        return ForeignImages(detector.images, lambda positions: torch.from_numpy(generated.batch(positions)))
    images = _loaded(declared.model_dump_json(), ROLES[role])
    wanted, found = tuple(own.batch([0]).shape[1:]), tuple(images.batch([0]).shape[1:])
    if wanted != found:
        raise ConfigError(
            where=f"ood.detector.{role}",
            expected=f"images of shape {wanted}, as the networks take them",
            found=f"{found} in '{images.dataset}'",
            remedy="Set its `size` and `channels`, or name 'noise' or 'textures'.",
        )
    return ForeignImages(min(detector.images, len(images)), images.batch)


def ood_identity(sweep: Sweep) -> dict[str, Any]:
    """Return what the table [ood] stands for, as part of keys: data sets by their content, not by their place."""
    declared = sweep.ood.model_dump(mode="json")
    if sweep.ood.detector is not None:
        declared["detector"] |= {
            role: _content(getattr(sweep.ood.detector, role), split) for role, split in ROLES.items()
        }
    return declared


def _content(declared: str | Data, split: str) -> list[Any]:
    if isinstance(declared, str):
        return [declared, GENERATOR_VERSION]
    images = _loaded(declared.model_dump_json(), split)
    return [images.digest, dict(images.preprocessing)]


@lru_cache(maxsize=4)
def _loaded(declared: str, split: str) -> ImageSplit:
    return load_splits(_DATA.validate_json(declared), (split,))[split]
