"""torchvision's classification networks with random weights at the smallest images they take, cheaply made."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from unittest import mock

import torch
from torch import nn

from stitchpipe.models import build

INITIALISERS = (
    "kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_", "xavier_uniform_", "zeros_",
)  # fmt: skip
REPRESENTATIVES = (
    "cifar_resnet", "alexnet", "vgg11", "googlenet", "inception_v3", "resnet18", "resnext50_32x4d", "densenet121",
    "squeezenet1_1", "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5", "efficientnet_b0", "regnet_y_400mf",
    "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t",
)  # fmt: skip
"""One of each family: these run by default."""

_SIZES = {"alexnet": 64, "inception": 75, "maxvit": 224, "squeezenet": 64, "swin": 64}


def size_of(name: str) -> int:
    """Return the side of the smallest sensible images."""
    if name.startswith("vit"):
        return 2 * int(name.rpartition("_")[2])
    return next((size for family, size in _SIZES.items() if name.startswith(family)), 32)


def made(name: str) -> nn.Module:
    """Return an architecture with random weights; torch's own random initialisation is left out."""
    options = {"num_classes": 10}
    if name.startswith("vit"):
        options["image_size"] = size_of(name)
    if name in {"googlenet", "inception_v3"}:
        options["init_weights"] = False  # draws each number on its own
    with _uninitialised():
        network = build(name, options, seed=0)
    _slim(name, network)
    return normalised(filled(network), random_images(name, 4, seed=2))


def _slim(name: str, network: nn.Module) -> None:
    """Take away what costs gigabytes and adds no cut of another kind: width of classifiers, more blocks of a sort."""
    if name.startswith(("alexnet", "vgg")):
        linears = [module for module in network.classifier if isinstance(module, nn.Linear)]
        for before, after in pairwise(linears):
            before.out_features = after.in_features = 64
        for linear in linears:
            linear.weight = nn.Parameter(torch.empty(linear.out_features, linear.in_features))
            linear.bias = nn.Parameter(torch.empty(linear.out_features))
    if name.startswith("vit"):
        network.encoder.layers = network.encoder.layers[:3]


def random_images(name: str, count: int, seed: int) -> torch.Tensor:
    """Return images of the smallest sensible size that differ in more than noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 3, size_of(name), size_of(name), generator=generator)
    return noise + 2 * torch.randn(count, 3, 1, 1, generator=generator)


@torch.no_grad()
def filled(network: nn.Module) -> nn.Module:
    """Give every parameter and running statistic numbers under which no block is the identity or dies out.

    A block of a prime number of seeded values is repeated, so that no two rows of a matrix are alike: far cheaper
    than drawing hundreds of millions of them.
    """
    noise = torch.rand(1_048_573, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not tensor.is_floating_point() or "relative_coords_table" in name:
            continue
        flat = tensor.view(-1)
        for start in range(0, len(flat), len(noise)):
            part = flat[start : start + len(noise)]
            part.copy_(noise[: len(part)])
        if tensor.ndim >= 2:
            flat.mul_((6 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("weight", "running_var")):
            flat.mul_(0.5).add_(1)
        else:
            flat.mul_(0.2)
    return network


@torch.no_grad()
def normalised(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """Let batch normalisation see some images: with made-up statistics deep networks answer all images alike."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1.0
    if norms:
        network(images)
    return network.eval()


@contextmanager
def _uninitialised():
    with mock.patch.multiple(nn.init, **dict.fromkeys(INITIALISERS, lambda tensor, *_, **__: tensor)):
        yield
