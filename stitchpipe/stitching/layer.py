"""The stitching layer: positions are brought to the target's grid, then features are mapped, affinely, at each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.rows import Grid, axes_of, grid_label, grid_of, n_positions
from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.resize import Resize

if TYPE_CHECKING:
    from storage import Representation

Shape: TypeAlias = tuple[int, ...]


class StitchingLayer(nn.Module):
    """Source activations → what the target's tail takes (Balogh and Jelasity 2025).

    Images ``(n, p, H, W)`` are resized to the target's grid (bilinear, half-pixel centres, no antialiasing), then
    mapped by a 1×1 convolution with bias; tokens ``(n, T, p)`` of as many patches and vectors ``(n, p)`` by a linear
    layer. Between images and tokens, and between tokens on other grids, patches are resized like an image. What
    stands for no place is handed on where the source has as many such tokens; otherwise it is the mean over the
    source's patches, and dropped where the target is an image (`stitchpipe.rows`).

    Parameters
    ----------
    source_shape, target_shape
        Of one sample.
    weight
        ``[q, p]``, float32; copied.
    bias
        ``[q]``, float32; copied.
    grids
        Of source and target. Default: those of the shapes, tokens being those of a square.

    Attributes
    ----------
    p, q
        Width of source and target.
    resize
        What brings the source to the target's grid.

    Raises
    ------
    StitchError
        One side alone is a vector, or the weights do not fit the shapes.

    Notes
    -----
    Time O(n·p·q·positions) for the map, and O(n·p·positions·positions') for resizing tokens.
    """

    def __init__(
        self,
        source_shape: Shape,
        target_shape: Shape,
        weight: Tensor,
        bias: Tensor,
        *,
        grids: tuple[Grid, Grid] | None = None,
    ) -> None:
        super().__init__()
        self.source_shape, self.target_shape = tuple(source_shape), tuple(target_shape)
        self.grids = grids or (grid_of(self.source_shape), grid_of(self.target_shape))
        _check_layouts(self.source_shape, self.target_shape, self.grids)
        self.p, self.q = _width(source_shape), _width(target_shape)
        if weight.shape != (self.q, self.p) or bias.shape != (self.q,):
            raise StitchError(
                where=f"stitch of {self.source_shape} into {self.target_shape}",
                expected=f"W of shape {(self.q, self.p)} and b of shape {(self.q,)}",
                found=f"{tuple(weight.shape)} and {tuple(bias.shape)}",
                remedy="Take the map that was fitted between these two layers, at the positions of the target.",
            )
        self.resize = Resize(*self.grids)
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    @classmethod
    def random(
        cls, source_shape: Shape, target_shape: Shape, *, seed: int, grids: tuple[Grid, Grid] | None = None
    ) -> StitchingLayer:
        """Start at random: weights and bias uniform within ±1/√p, as torch initialises a 1×1 convolution.

        The numbers follow from `seed` alone; torch's global generator is neither used nor moved.
        """
        p, q = _width(source_shape), _width(target_shape)
        generator = torch.Generator().manual_seed(seed)
        # For a 1×1 convolution, Kaiming's uniform initialisation with a = √5 comes to ±1/√p, for weights
        # and bias alike.
        bound = 1 / math.sqrt(p)
        weight = torch.empty(q, p).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(q).uniform_(-bound, bound, generator=generator)
        return cls(source_shape, target_shape, weight, bias, grids=grids)

    @classmethod
    def identity(
        cls, source_shape: Shape, target_shape: Shape, *, grids: tuple[Grid, Grid] | None = None
    ) -> StitchingLayer:
        """Start at the identity; `StitchError` unless source and target are equally wide."""
        p, q = _width(source_shape), _width(target_shape)
        if p != q:
            raise StitchError(
                where="initialisation 'identity'",
                expected="source and target of equal width",
                found=f"widths {p} and {q}",
                remedy="Start at random or from direct matching.",
            )
        return cls(source_shape, target_shape, torch.eye(q), torch.zeros(q), grids=grids)

    @classmethod
    def from_map(
        cls,
        source_shape: Shape,
        target_shape: Shape,
        fitted: AffineMap,
        *,
        grids: tuple[Grid, Grid] | None = None,
    ) -> StitchingLayer:
        """Apply a fitted map, rounded to float32; `StitchError` unless its widths are the layers'."""
        weight, bias = (torch.from_numpy(np.array(part, dtype=np.float32)) for part in (fitted.W, fitted.b))
        return cls(source_shape, target_shape, weight, bias, grids=grids)

    def to_map(self) -> AffineMap:
        """Return the layer as a map, in float64.

        No fit chose its directions, so `rank` and `condition` are those of its own weights: singular values above
        max(p, q)·eps32 times the largest, and the ratio of the largest to the smallest of them.
        """
        weight = self.weight.detach().cpu().double().numpy()
        values = np.linalg.svd(weight, compute_uv=False)
        # The weights were learnt in float32, so singular values below its rounding are taken for zero.
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
        """Return ``(n, q, H', W')``, ``(n, T', q)`` or ``(n, q)``."""
        return self.mapped(self.resize(x))

    def mapped(self, x: Tensor) -> Tensor:
        """Return what `forward` does of a source that `resize` has brought to the target's grid before."""
        source, target = self.grids
        # Two images are mapped by a 1×1 convolution, which works where the channels are first. All others
        # have their features last.
        if len(source) == len(target) == 2:
            return F.conv2d(x, self.weight[:, :, None, None], self.bias)
        mapped = F.linear(x, self.weight, self.bias)
        return mapped.transpose(1, 2).unflatten(2, target) if len(target) == 2 else mapped


def _width(shape: Shape) -> int:
    return shape[0] if len(shape) == 3 else shape[-1]


def _check_layouts(source: Shape, target: Shape, grids: tuple[Grid, Grid]) -> None:
    where = "stitching layer"
    if bool(grids[0]) != bool(grids[1]):
        raise StitchError(
            where=where,
            expected="source and target with positions, images (C, H, W) or tokens (T, D), or two vectors (D,)",
            found=f"shapes {source} and {target}",
            remedy="Choose layers that both have positions, or both have none.",
        )
    for shape, grid in zip((source, target), grids, strict=True):
        positions = shape[1:] if len(shape) == 3 else shape[:-1]
        if positions != axes_of(grid):
            raise StitchError(
                where=where,
                expected=f"a grid of the {n_positions(positions)} positions of samples of shape {shape}",
                found=grid_label(grid),
                remedy="Leave the grid out, or give that of this layer.",
            )
