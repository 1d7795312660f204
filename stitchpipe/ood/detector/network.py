"""The classifier of representations whose energy is the detector: small, for layers of any shape."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.ood.errors import OodError

if TYPE_CHECKING:
    from stitchpipe.ood.standardiser import Standardiser
    from stitchpipe.rows import Grid

    Shape: TypeAlias = tuple[int, ...]

SIDE = 32
"""Representations with positions are brought to SIDE × SIDE (Balogh and Jelasity 2025)."""
WIDTHS = (32, 64, 128, 128)
HIDDEN = 128


class RepresentationClassifier(nn.Module):
    """Activations of one layer → logits ``(n, classes)``.

    Features are standardised by native training statistics. Images ``(n, C, H, W)`` go through a 1×1 convolution, a
    bilinear resize to 32×32 (the two commute, so that the wide side is never resized), three 3×3 convolutions of
    stride 2 with batch normalisation, and a linear layer on the mean over positions. Tokens ``(n, T, D)`` are put on
    their grid first; the mean of those that stand for no place is laid beside every patch. Vectors ``(n, D)`` go
    through two hidden layers of 128.

    Parameters
    ----------
    shape, grid
        Of one sample, as `stitchpipe.rows.grid_of` has the latter.
    classes
        Number of logits.
    units
        Of the features.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape, grid: Grid, classes: int, units: Standardiser | None = None) -> None:
        super().__init__()
        self.shape, self.grid, self.classes = tuple(shape), tuple(grid), classes
        width = shape[0] if len(shape) == 3 else shape[-1]
        mean, scale = (units.mean, units.scale) if units is not None else ([0.0] * width, [1.0] * width)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
        self.mix: nn.Module
        self.trunk: nn.Module
        if len(shape) == 1:
            self.mix = nn.Identity()
            self.trunk = nn.Sequential(*_dense(width, HIDDEN), *_dense(HIDDEN, HIDDEN))
        else:
            # The mean of tokens that stand for no place is laid beside every patch, which doubles the
            # width.
            besides = 2 if len(grid) == 3 and grid[0] > 0 else 1
            self.mix = nn.Conv2d(besides * width, WIDTHS[0], 1)
            self.trunk = nn.Sequential(*(layer for pair in pairwise(WIDTHS) for layer in _convolution(*pair)))
        self.head = nn.Linear(HIDDEN if len(shape) == 1 else WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; `OodError` for samples of another shape."""
        if tuple(x.shape[1:]) != self.shape:
            raise OodError(
                where="classifier of representations",
                expected=f"samples of shape {self.shape}",
                found=f"{tuple(x.shape[1:])}",
                remedy="Give it activations of the layer that it was made for.",
            )
        if len(self.shape) == 1:
            return torch.as_tensor(self.head(self.trunk((x - self.mean) / self.scale)))
        # A 1×1 convolution and a resizing commute, so that the narrow side is the one that is resized.
        resized = F.interpolate(
            self.mix(self._image(x)), size=(SIDE, SIDE), mode="bilinear", align_corners=False
        )
        return torch.as_tensor(self.head(self.trunk(resized).mean(dim=(2, 3))))

    def _image(self, x: Tensor) -> Tensor:
        """Return ``(n, channels, H, W)`` in training units."""
        if len(self.shape) == 3:
            return (x - self.mean[:, None, None]) / self.scale[:, None, None]
        placeless, height, width = self.grid
        tokens = (x - self.mean) / self.scale
        patches = tokens[:, placeless:].transpose(1, 2).unflatten(2, (height, width))
        if placeless == 0:
            return torch.as_tensor(patches)
        beside = tokens[:, :placeless].mean(dim=1)[:, :, None, None].expand_as(patches)
        return torch.cat((patches, beside), dim=1)


def _convolution(p: int, q: int) -> list[nn.Module]:
    return [nn.Conv2d(p, q, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(q), nn.ReLU()]


def _dense(p: int, q: int) -> list[nn.Module]:
    return [nn.Linear(p, q, bias=False), nn.BatchNorm1d(q), nn.ReLU()]
