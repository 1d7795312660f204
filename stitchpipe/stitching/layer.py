"""The stitching layer: an affine map of features, applied at every position of the target's grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from storage import Representation

Shape: TypeAlias = tuple[int, ...]


class StitchingLayer(nn.Module):
    """Source activations → what the target's tail takes (Balogh and Jelasity 2025).

    Images ``(n, p, H, W)`` are resized to the target's grid (bilinear, half-pixel centres, no antialiasing), then
    mapped by a 1×1 convolution with bias; tokens ``(n, T, p)`` and vectors ``(n, p)`` by a linear layer.

    Parameters
    ----------
    source_shape, target_shape
        Of one sample, of the same layout.
    weight
        ``[q, p]``, float32; copied.
    bias
        ``[q]``, float32; copied.

    Attributes
    ----------
    p, q
        Width of source and target.
    grid
        ``(H', W')`` of images, else None.

    Raises
    ------
    StitchError
        The layouts differ, token counts do, or the weights do not fit them.
    """

    def __init__(self, source_shape: Shape, target_shape: Shape, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        _check_layouts(source_shape, target_shape)
        self.source_shape, self.target_shape = tuple(source_shape), tuple(target_shape)
        self.p, self.q = _width(source_shape), _width(target_shape)
        if weight.shape != (self.q, self.p) or bias.shape != (self.q,):
            raise StitchError(
                where=f"stitch of {self.source_shape} into {self.target_shape}",
                expected=f"W of shape {(self.q, self.p)} and b of shape {(self.q,)}",
                found=f"{tuple(weight.shape)} and {tuple(bias.shape)}",
                remedy="Take the map that was fitted between these two layers, at the positions of the target.",
            )
        self.grid = self.target_shape[1:] if len(target_shape) == 3 else None
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    @classmethod
    def random(cls, source_shape: Shape, target_shape: Shape, *, seed: int) -> StitchingLayer:
        """Start at random: weights and bias uniform within ±1/√p, as torch initialises a 1×1 convolution.

        The numbers follow from `seed` alone; torch's global generator is neither used nor moved.
        """
        p, q = _width(source_shape), _width(target_shape)
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(p)
        weight = torch.empty(q, p).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(q).uniform_(-bound, bound, generator=generator)
        return cls(source_shape, target_shape, weight, bias)

    @classmethod
    def identity(cls, source_shape: Shape, target_shape: Shape) -> StitchingLayer:
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
    def from_map(cls, source_shape: Shape, target_shape: Shape, fitted: AffineMap) -> StitchingLayer:
        """Apply a fitted map, rounded to float32; `StitchError` unless its widths are the layers'."""
        weight = torch.from_numpy(np.array(fitted.W, dtype=np.float32))
        return cls(source_shape, target_shape, weight, torch.from_numpy(np.array(fitted.b, dtype=np.float32)))

    def to_map(self) -> AffineMap:
        """Return the layer as a map, in float64.

        No fit chose its directions, so `rank` and `condition` are those of its own weights: singular values above
        max(p, q)·eps32 times the largest, and the ratio of the largest to the smallest of them.
        """
        weight = self.weight.detach().cpu().double().numpy()
        values = np.linalg.svd(weight, compute_uv=False)
        kept = values[values > values[0] * max(weight.shape) * np.finfo(np.float32).eps]
        condition = float(kept[0] / kept[-1]) if len(kept) else 1.0
        bias = self.bias.detach().cpu().double().numpy()
        return AffineMap(W=weight, b=bias, rank=len(kept), condition=condition)

    def check_source(self, source: Representation) -> None:
        """Raise `StitchError` unless `source` has the shape of sample that this layer takes."""
        if source.shape[1:] != self.source_shape:
            raise StitchError(
                where=str(source.address),
                expected=f"samples of shape {self.source_shape}, as the stitching layer was made for",
                found=f"{source.shape[1:]}",
                remedy="Make the layer with this representation's shape.",
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, q, H', W')``, ``(n, T, q)`` or ``(n, q)``."""
        if self.grid is None:
            return F.linear(x, self.weight, self.bias)
        if tuple(x.shape[2:]) != self.grid:
            x = F.interpolate(x, size=self.grid, mode="bilinear", align_corners=False, antialias=False)
        return F.conv2d(x, self.weight[:, :, None, None], self.bias)


def _width(shape: Shape) -> int:
    return shape[0] if len(shape) == 3 else shape[-1]


def _check_layouts(source: Shape, target: Shape) -> None:
    tokens_differ = len(source) == 2 and source[0] != target[0]
    if len(source) not in (1, 2, 3) or len(source) != len(target) or tokens_differ:
        raise StitchError(
            where="stitching layer",
            expected="source and target of one layout: images (C, H, W), equally many tokens (T, D), or vectors (D,)",
            found=f"shapes {tuple(source)} and {tuple(target)}",
            remedy="Choose layers of one layout.",
        )
