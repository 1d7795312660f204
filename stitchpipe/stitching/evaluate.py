"""What a stitched network makes of a split: its representations, and its logits or how far its features are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.measures import Number
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


def native_activations(target: Representation, *, device: torch.device) -> Iterator[Tensor]:
    """Yield a stored representation row group by row group, ``(n, …)`` float32 on `device`."""
    for row_group in range(len(target.row_groups)):
        yield torch.from_numpy(target.read(row_group).astype(np.float32, copy=False)).to(device)


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


def feature_distance(tail: nn.Module, stitched: Iterable[Tensor], native: Iterable[Tensor]) -> Number:
    """Return the mean relative distance of the features behind stitched activations from those behind the target's own.

    Both are activations of the target layer ``(n, …)``, block by block, of the same images in the same order. Images
    whose own features are all zero do not count. `tail` is put in eval mode.

    Raises
    ------
    DivergedError
        A feature is not finite.
    """
    total, count = 0.0, 0
    tail.eval()
    for block, own in zip(stitched, native, strict=True):
        with torch.inference_mode():
            h, g = (tail(values.clone()).double().flatten(1) for values in (block, own))
        if not torch.isfinite(h).all():
            raise DivergedError(
                where="stitched network",
                expected="finite features",
                found="others",
                remedy="Look at the size of the map's weights: its training may have diverged.",
            )
        norm = g.norm(dim=1)
        total += float(((h - g).norm(dim=1) / norm)[norm > 0].sum())
        count += int((norm > 0).sum())
    if not count:
        return Number.missing("constant", "the target network's own features are all zero")
    return Number(total / count)
