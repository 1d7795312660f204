"""What a stitched network makes of a split: its representations, its logits, its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.stitching.errors import DivergedError, StitchError
from stitchpipe.stitching.labels import check_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stitchpipe.stitching.layer import StitchingLayer
    from storage import Representation


def stitched_activations(
    layer: StitchingLayer, source: Representation, *, device: torch.device | None = None
) -> Iterator[Tensor]:
    """Yield the stitched representation row group by row group, ``(n, …)`` as the target layer's, on `device`.

    One row group is in memory at a time; `layer` is moved to `device` (default: the CPU).

    Raises
    ------
    StitchError
        The source has not the layer's shape.
    """
    device = torch.device("cpu") if device is None else device
    layer.check_source(source)
    layer.to(device)
    for row_group in range(len(source.row_groups)):
        values = torch.from_numpy(source.read(row_group).astype(np.float32, copy=False))
        # The mode is left before the block is handed out: it is a setting of the thread, not of this generator.
        with torch.inference_mode():
            stitched = layer(values.to(device))
        yield stitched


def stitched_logits(tail: nn.Module, blocks: Iterable[Tensor]) -> npt.NDArray[np.float32]:
    """Return the logits ``[n, classes]`` of the target's `tail` on a stitched representation, in stored order.

    `tail` is put in eval mode. The blocks keep their values, even where the tail begins with an in-place
    operation.

    Raises
    ------
    StitchError
        No blocks.
    DivergedError
        A logit is not finite.
    """
    tail.eval()
    parts = []
    for block in blocks:
        with torch.inference_mode():
            parts.append(tail(block.clone()).float().cpu().numpy())
    if not parts:
        raise StitchError(
            where="stitched representation",
            expected="at least one block",
            found="none",
            remedy="Take the blocks anew: an iterator can be used once.",
        )
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise DivergedError(
            where="stitched network",
            expected="finite logits",
            found=f"{int((~np.isfinite(logits)).any(axis=1).sum())} of {len(logits)} samples without",
            remedy="Look at the size of the map's weights: its training may have diverged.",
        )
    return logits


def accuracy(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is their label's, in [0, 1]; the first of equals counts.

    Raises
    ------
    StitchError
        Not one label per row of logits, or a label that no logit stands for.
    """
    if len(logits) == 0 or labels.shape != logits.shape[:1]:
        raise StitchError(
            where="accuracy",
            expected="one label per row of logits, at least one",
            found=f"labels of shape {labels.shape}, logits of shape {logits.shape}",
            remedy="Take both from the same split, in the order of the store.",
        )
    check_classes(labels, logits.shape[1])
    return float((logits.argmax(axis=1) == labels).mean())


def relative_accuracy(stitched: float, native: float) -> float | None:
    """Return stitched accuracy over the target network's own; None where that network is never right.

    May exceed 1: a stitched network can be better than its target.
    """
    return stitched / native if native > 0.0 else None
