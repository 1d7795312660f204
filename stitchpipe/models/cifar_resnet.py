"""The CIFAR ResNets of He et al. 2016, §4.2: a 3×3 stem, three stages of basic blocks, parameter-free shortcuts.

Options make relatives of them: four stages of widths 64-128-256-512, or controls in which neither the grid
(``strides``) nor the width changes from stage to stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_BLOCKS = 1000
"""Of a network; the deepest of the paper has 600."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut of option A: strided subsampling, new channels filled with zeros.

    ``(n, width_in, H, W)`` → ``(n, width_out, ⌈H/stride⌉, ⌈W/stride⌉)``; the output has been through a ReLU.
    """

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.stride = stride
        self.new_channels = width_out - width_in

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1 and self.new_channels == 0:
            return x
        before = self.new_channels // 2
        return F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.new_channels - before)
        )


class CifarResNet(nn.Module):
    """A CIFAR ResNet: ``blocks`` per stage, one width per stage, the first block of a stage strides.

    Parameters
    ----------
    blocks, widths
        Of equal length; ``(3, 3, 3)`` and ``(16, 32, 64)`` make ResNet-20.
    strides
        One per stage; by default 1 for the first, and 2 for the others, which halve the grid.
    in_channels, num_classes
        Of the images and of the logits.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 3, 3),
        widths: Sequence[int] = (16, 32, 64),
        in_channels: int = 3,
        num_classes: int = 10,
        strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        strides = (1,) + (2,) * (len(blocks) - 1) if strides is None else strides
        if (
            len({len(blocks), len(widths), len(strides)}) != 1
            or not blocks
            or min(*blocks, *widths, *strides, in_channels, num_classes) < 1
            or sorted(widths) != list(widths)
        ):
            raise ValueError(
                "all sizes must be positive, blocks, widths and strides of equal length, widths not decreasing"
            )
        if sum(blocks) > MOST_BLOCKS:
            raise ValueError(f"at most {MOST_BLOCKS} blocks in all, found {sum(blocks)}")
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = len(blocks)
        width_in = widths[0]
        stages = zip(blocks, widths, strides, strict=True)
        for number, (count, width, stride) in enumerate(stages, start=1):
            stage = [
                BasicBlock(width_in, width, stride),
                *(BasicBlock(width, width, 1) for _ in range(count - 1)),
            ]
            setattr(self, f"layer{number}", nn.Sequential(*stage))
            width_in = width
        self.linear = nn.Linear(width_in, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images ``(n, in_channels, H, W)``."""
        x = F.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits
