"""Networks for the tests: small, with batch statistics that are not the identity, and some with traps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import VisionTransformer, resnet18

from stitchpipe.models import build


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and running statistic a value of its own, so that no module is the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            with torch.no_grad():
                module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.3)
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return network.eval()


def cifar(blocks=(2, 1, 1), widths=(4, 6, 8)) -> nn.Module:
    return lively(build("cifar_resnet", {"blocks": blocks, "widths": widths, "num_classes": 5}, seed=3))


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return lively(resnet18(num_classes=7))


def vit() -> nn.Module:
    torch.manual_seed(0)
    network = VisionTransformer(
        image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=20, num_classes=5
    )
    nn.init.normal_(network.heads.head.weight)
    return lively(network)


def images(size: int, count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


FAMILIES = {"cifar": (cifar, 12), "resnet18": (resnet, 32), "vit": (vit, 16)}
"""Name → how to make it, and the size of its images."""


class InPlaceUnused(nn.Module):
    """Works in place and drops what the in-place call returns."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.first(x)
        self.relu(x)
        x = self.second(x)
        F.relu(x, inplace=True)
        return self.head(x.mean((2, 3)))


class Reused(nn.Module):
    """Calls one module three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 3)
        self.turn = nn.Sequential(nn.Linear(3, 3), nn.Tanh())

    def forward(self, x):
        return self.turn(self.turn(self.turn(self.stem(x.mean((2, 3))))))


class SharedScale(nn.Module):
    """Uses one parameter on both sides of its cuts, and a module whose output nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5, 2.0, 3.0]))
        self.inner = nn.Linear(3, 3)
        self.idle = nn.Linear(3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        x = self.inner(x.mean((2, 3)) * self.scale)
        self.idle(x)
        return self.head(torch.tanh(x) * self.scale)
