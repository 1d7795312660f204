"""What a stitched network makes of a split: its representations and its logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.stitching.errors import DivergedError, StitchError

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
