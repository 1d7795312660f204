"""Networks for the tests that run several branches side by side."""

from __future__ import annotations

import torch
from torch import nn

from tests.graph.small_networks import lively


def unit(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.Tanh())


class TwoBranches(nn.Module):
    """A stem, two branches of two units each, and a head on their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.left = nn.Sequential(unit(4), unit(4))
        self.right = nn.Sequential(unit(4), unit(4))
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        return self.head((self.left(x) + self.right(x)).mean((2, 3)))


class Exchange(nn.Module):
    """Branches of several widths, each of which then takes from all others: a stage of an HRNet."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(unit(width) for width in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(other, width, 1) for other in widths) for width in widths
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, given):
        values = [branch(value) for branch, value in zip(self.branches, given, strict=True)]
        return [
            self.act(sum(fuse(value) for fuse, value in zip(row, values, strict=True))) for row in self.fuse
        ]


class ThreeBranches(nn.Module):
    """An HRNet in small: three branches through some stages, put together by the head."""

    widths = (4, 6, 8)

    def __init__(self, stages: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.begin = nn.ModuleList(nn.Conv2d(4, width, 1) for width in self.widths)
        self.stages = nn.Sequential(*(Exchange(self.widths) for _ in range(stages)))
        self.head = nn.Linear(sum(self.widths), 5)

    def forward(self, x):
        x = self.stem(x)
        values = self.stages([begin(x) for begin in self.begin])
        return self.head(torch.cat([value.mean((2, 3)) for value in values], dim=1))


class Untraceable(nn.Module):
    """A network whose forward pass looks at the values of its images."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        if not bool(torch.isfinite(x).all()):
            raise ValueError("images must be finite")
        return self.inner(x)


class Tokens(nn.Module):
    """Two branches of tokens, which exchange their first ones: of the last exchange only these are needed."""

    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Linear(6, 5) for _ in range(2))
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(2)) for _ in range(blocks)
        )
        self.swap = nn.ModuleList(
            nn.ModuleList(nn.Sequential(nn.Linear(5, 5)) for _ in range(2)) for _ in range(blocks)
        )
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        if not bool(torch.isfinite(x).all()):
            raise ValueError("images must be finite")
        values = [embed(x.flatten(2)[:, :, :6]) for embed in self.embed]
        for branches, swap in zip(self.blocks, self.swap, strict=True):
            values = [branch(value) for branch, value in zip(branches, values, strict=True)]
            first = [change(value[:, :1]) for change, value in zip(swap, values, strict=True)]
            values = [
                torch.cat([token, value[:, 1:]], 1)
                for token, value in zip(reversed(first), values, strict=True)
            ]
        return self.head(values[0][:, 0] + values[1][:, 0])


class Concatenated(nn.Module):
    """Two branches, of which one begins with a concatenation whose first piece is asked for again behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.left, self.right = unit(4), unit(4)
        self.join, self.merge = nn.Sequential(unit(8)), nn.Sequential(nn.Conv2d(8, 4, 1))
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        left, right = self.left(x), self.right(x)
        both = torch.cat([left, torch.tanh(right)], 1)
        return self.head((self.merge(self.join(both)) + left * right).mean((2, 3)))


class SharedMemory(nn.Module):
    """Two names of one piece of memory, which is worked on in place under the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        y = x.flatten(2)
        y.relu_()
        return self.head(x.mean((2, 3)) + y.sum(2))


class ChannelsLast(nn.Module):
    """Two branches ``(H, W, C)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.left, self.right = (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.LayerNorm(6)) for _ in range(2))
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        return self.head((self.left(x) * self.right(x)).mean((1, 2)))


def made(network: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return lively(network())
