"""Random weights that cost little: what a library draws is left out, and one block of noise is repeated instead."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAWING = (
    "kaiming_normal_", "kaiming_uniform_", "normal_", "orthogonal_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_",
)  # fmt: skip
"""Of `torch.nn.init`: they fill a tensor at random."""

IN_PLACE = ("normal_", "uniform_", "erfinv_")
"""Of tensors: with these libraries draw by themselves."""

BLOCK = 1_048_573
"""Numbers that are repeated: a prime, so that no two rows of a matrix are alike."""

GENTLE = 0.5
"""Of what matrices usually get: attention that saturates sees one token, and of a class token no image."""


@contextmanager
def undrawn() -> Iterator[None]:
    """Let networks be built without drawing their weights, which of a large one takes longer than running it.

    Works on the whole process: for a process that does nothing else.
    """

    def as_it_is(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
        return tensor

    with ExitStack() as patches:
        for name in DRAWING:
            patches.enter_context(mock.patch.object(nn.init, name, as_it_is))
        for name in IN_PLACE:
            patches.enter_context(mock.patch.object(Tensor, name, as_it_is))
        yield


@torch.no_grad()
def fill(network: nn.Module, gain: float = 1.0) -> None:
    """Give every parameter numbers under which no block is the identity, dies out or blows up.

    Matrices are scaled by their fan-in and by `gain`, gains lie around 1, biases around 0. Buffers keep what the
    network's constructor computed, but for running statistics.
    """
    noise = torch.rand(BLOCK, generator=torch.Generator().manual_seed(0)) * 2 - 1
    statistics = [
        (name, buffer)
        for name, buffer in network.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
    for name, tensor in [*network.named_parameters(), *statistics]:
        if not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        flat = tensor.detach().view(-1) if tensor.is_contiguous() else tensor.detach().reshape(-1)
        for start in range(0, len(flat), BLOCK):
            part = flat[start : start + BLOCK]
            part.copy_(noise[: len(part)])
        if tensor.ndim >= 2:
            flat.mul_(gain * (6 / max(1, tensor[0].numel())) ** 0.5)
        elif name.endswith(("bias", "running_mean")):
            flat.mul_(0.2)
        else:  # gains, scales of layers, running variances
            flat.mul_(0.5).add_(1)
        if not tensor.is_contiguous():
            tensor.copy_(flat.view(tensor.shape))


@torch.no_grad()
def settle(network: nn.Module, images: Tensor) -> None:
    """Let batch normalisation see some images: with made-up statistics deep networks answer all images alike."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    try:
        network(images)
    except ValueError:  # one value per channel has no variance: that layer keeps what it was given
        pass
    finally:
        network.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def random_images(shape: tuple[int, int, int], count: int, seed: int) -> Tensor:
    """Return images ``[count, C, H, W]`` that differ in more than noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *shape, generator=generator)
    return noise + 2 * torch.randn(count, shape[0], 1, 1, generator=generator)


def judged_images(shape: tuple[int, int, int]) -> Tensor:
    """Return the two images ``[2, C, H, W]`` whose answers a network is judged by."""
    return random_images(shape, 2, seed=1)
