"""Bringing a source's positions to the target's grid: the part of a stitch that has nothing to learn."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.rows import Grid, resize_maps


class Resize(nn.Module):
    """The linear map of positions of `stitchpipe.rows`, in float32.

    Images ``(n, p, H, W)`` → ``(n, p, H', W')``, bilinear, half-pixel centres, no antialiasing; where tokens take part,
    rows ``(n, positions', p)``; what lies on the target's grid already, or has no positions, stays as it is.
    """

    def __init__(self, source: Grid, target: Grid) -> None:
        super().__init__()
        self._size = target if len(source) == len(target) == 2 and source != target else None
        self._is_image = len(source) == 2
        self._dense: Tensor | None
        self.register_buffer("_dense", _dense(source, target), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the source on the target's grid."""
        if self._size is not None:
            return F.interpolate(x, size=self._size, mode="bilinear", align_corners=False, antialias=False)
        if self._dense is None:
            return x
        return self._dense @ (x.flatten(2).transpose(1, 2) if self._is_image else x)


def _dense(source: Grid, target: Grid) -> Tensor | None:
    """Return the map of positions ``[positions', positions]`` where tokens are put on another grid."""
    if source == target or len(source) == len(target) == 2:
        return None
    (dense,) = resize_maps(source, target)
    return torch.from_numpy(np.array(dense, dtype=np.float32))
