"""What a stitched network makes of a split: its representations, its logits, its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.stitching.layer import StitchingLayer
    from storage import Representation


def stitched_activations(
    layer: StitchingLayer, source: Representation, *, device: torch.device | None = None
) -> Iterator[Tensor]:
    """Yield the stitched representation row group by row group, ``(n, …)`` as the target layer's, on `device`."""
    device = torch.device("cpu") if device is None else device
    layer.to(device)
    for row_group in range(len(source.row_groups)):
        values = torch.from_numpy(np.asarray(source.read(row_group), dtype=np.float32))
        with torch.inference_mode():
            yield layer(values.to(device))


@torch.inference_mode()
def stitched_logits(tail: nn.Module, blocks: Iterator[Tensor]) -> npt.NDArray[np.float32]:
    """Return the logits ``[n, classes]`` of the target's `tail` on a stitched representation, in stored order."""
    return np.concatenate([tail(block).float().cpu().numpy() for block in blocks])


def accuracy(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is their label's."""
    return float((logits.argmax(axis=1) == labels).mean())
