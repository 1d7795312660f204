"""What training does to images at random: shifts by some pixels, and mirror images."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor


def shifted(images: Tensor, generator: torch.Generator, *, most: int) -> Tensor:
    """Shift each image of ``[n, C, h, w]`` by up to `most` pixels either way, zeros moving in."""
    count, _, height, width = images.shape
    padded = F.pad(images, (most, most, most, most))
    moves = torch.randint(0, 2 * most + 1, (count, 2), generator=generator)
    rows = (moves[:, :1] + torch.arange(height))[:, :, None]
    columns = (moves[:, 1:] + torch.arange(width))[:, None, :]
    picked = padded[torch.arange(count)[:, None, None], :, rows, columns]
    # A fresh layout, also where there is one channel: the strides decide which convolution kernels run.
    return picked.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image of ``[n, C, h, w]`` from left to right, or leave it, with even chances."""
    chosen = torch.randint(0, 2, (len(images), 1, 1, 1), generator=generator).bool()
    return torch.where(chosen, images.flip(3), images)
