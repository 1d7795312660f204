"""Activations in memory, for comparisons that need no store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.graph import extractor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def collect(
    network: nn.Module, loader: Iterable[Tensor | Sequence[Tensor]], layers: Sequence[str]
) -> dict[str, npt.NDArray[np.floating]]:
    """Run `network` over `loader` and return layer → activations ``(n, …)``, in the loader's order.

    Batches are images, or tuples that begin with images. All activations are held in memory.

    Raises
    ------
    stitchpipe.graph.LayerError, ValueError
        No such layer; the loader is empty.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    run = extractor(network, layers)
    parts: dict[str, list[npt.NDArray[np.floating]]] = {name: [] for name in layers}
    for batch in loader:
        images = batch if isinstance(batch, Tensor) else batch[0]
        values = run(images.to(device))
        for name in layers:
            parts[name].append(values[name].float().cpu().numpy())
    if not all(parts.values()):
        raise ValueError("the loader is empty: expected at least one batch of images")
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}
