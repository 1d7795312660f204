"""One dump in a process of its own; prints its peak memory after a bare forward pass, and at the end, in bytes."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from stitchpipe.capture import dump
from tests.benchmarks.dumped_network import (
    BATCH,
    BLOCKS,
    Subject,
    dump_settings,
    image_split,
    store_with_split,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def noise(positions: Sequence[int]) -> torch.Tensor:
    """Images made when they are asked for, so that their number takes no memory."""
    return torch.randn((len(positions), 3, 32, 32), generator=torch.Generator().manual_seed(positions[0]))


def main(root: str, n_images: int) -> None:
    torch.set_num_threads(1)
    network = Subject(n_images).network
    images = image_split(n_images, noise)
    with torch.inference_mode():
        for _ in range(10):
            network(images.batch(range(BATCH)))
    forward = peak_bytes()
    store = store_with_split(Path(root), n_images)
    dump(
        network, images, store, model="net", architecture="resnet20", layers=BLOCKS, settings=dump_settings()
    )
    print(json.dumps({"forward": forward, "peak": peak_bytes()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
