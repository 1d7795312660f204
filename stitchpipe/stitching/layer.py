"""The stitching layer: an affine map of features, applied at every position of the target's grid."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.stitching.errors import StitchError


class StitchingLayer(nn.Module):
    """Source activations → what the target's tail takes (Balogh and Jelasity 2025).

    Images ``(n, p, H, W)`` are resized to the target's grid (bilinear, half-pixel centres, no antialiasing), then
    mapped by a 1×1 convolution with bias; tokens ``(n, T, p)`` and vectors ``(n, p)`` by a linear layer.

    Parameters
    ----------
    source_shape, target_shape
        Of one sample, of the same layout.
    weight
        ``[q, p]``, float32.
    bias
        ``[q]``.

    Raises
    ------
    StitchError
        The layouts differ, or token counts do.
    """

    def __init__(
        self, source_shape: tuple[int, ...], target_shape: tuple[int, ...], weight: Tensor, bias: Tensor
    ) -> None:
        super().__init__()
        tokens_differ = len(source_shape) == 2 and source_shape[0] != target_shape[0]
        if len(source_shape) != len(target_shape) or tokens_differ:
            raise StitchError(
                where="stitching layer",
                expected="source and target of one layout: images, equally many tokens, or vectors",
                found=f"shapes {source_shape} and {target_shape}",
                remedy="Choose layers of one layout.",
            )
        self.grid = target_shape[1:] if len(target_shape) == 3 else None
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    @classmethod
    def random(
        cls, source_shape: tuple[int, ...], target_shape: tuple[int, ...], *, seed: int
    ) -> StitchingLayer:
        """Start at random: weights and bias uniform within ±1/√p, as torch initialises a 1×1 convolution."""
        p, q = _width(source_shape), _width(target_shape)
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(p)
        weight = torch.empty(q, p).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(q).uniform_(-bound, bound, generator=generator)
        return cls(source_shape, target_shape, weight, bias)

    @classmethod
    def identity(cls, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> StitchingLayer:
        """Start at the identity; `StitchError` unless source and target are equally wide."""
        p, q = _width(source_shape), _width(target_shape)
        if p != q:
            raise StitchError(
                where="initialisation 'identity'",
                expected="source and target of equal width",
                found=f"widths {p} and {q}",
                remedy="Start at random or from direct matching.",
            )
        return cls(source_shape, target_shape, torch.eye(q), torch.zeros(q))

    @classmethod
    def from_map(
        cls, source_shape: tuple[int, ...], target_shape: tuple[int, ...], fitted: AffineMap
    ) -> StitchingLayer:
        """Apply a fitted map, rounded to float32; `StitchError` unless its widths are the layers'."""
        p, q = _width(source_shape), _width(target_shape)
        if fitted.W.shape != (q, p):
            raise StitchError(
                where="fitted map",
                expected=f"W of shape {(q, p)}",
                found=f"{tuple(fitted.W.shape)}",
                remedy="Fit it between these two layers.",
            )
        weight = torch.from_numpy(np.asarray(fitted.W, dtype=np.float32))
        return cls(
            source_shape, target_shape, weight, torch.from_numpy(np.asarray(fitted.b, dtype=np.float32))
        )

    def to_map(self) -> AffineMap:
        """Return the layer as a map; a trained layer has no rank or condition number but its weights' own."""
        weight = self.weight.detach().cpu().double().numpy()
        values = np.linalg.svd(weight, compute_uv=False)
        rank = (
            int((values > values[0] * max(weight.shape) * np.finfo(np.float32).eps).sum()) if values[0] else 0
        )
        condition = float(values[0] / values[rank - 1]) if rank else 1.0
        return AffineMap(
            W=weight, b=self.bias.detach().cpu().double().numpy(), rank=rank, condition=condition
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, q, H', W')``, ``(n, T, q)`` or ``(n, q)``."""
        if self.grid is None:
            return F.linear(x, self.weight, self.bias)
        if tuple(x.shape[2:]) != tuple(self.grid):
            x = F.interpolate(x, size=self.grid, mode="bilinear", align_corners=False, antialias=False)
        return F.conv2d(x, self.weight[:, :, None, None], self.bias)


def _width(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 3 else shape[-1]
