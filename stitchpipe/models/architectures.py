"""Architectures by name: our CIFAR ResNet, and torchvision's classification networks."""

from __future__ import annotations

import difflib
import threading
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from torch import nn

from stitchpipe.errors import ExplainedError
from stitchpipe.models.cifar_resnet import CifarResNet

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = {"cifar_resnet": CifarResNet}


_ONE_AT_A_TIME = threading.Lock()
"""Networks draw their weights from torch's one global generator."""


class ArchitectureError(ExplainedError, ValueError):
    """No network of that name, or not with those options."""


def architectures() -> list[str]:
    """Return all names that `build` knows."""
    return [*OURS, *torchvision.models.list_models(module=torchvision.models)]


def build(architecture: str, options: Mapping[str, Any], *, seed: int) -> nn.Module:
    """Return an untrained network in eval mode; its initial weights depend on `seed` alone.

    Parameters
    ----------
    architecture
        ``cifar_resnet``, or a torchvision classification network (``resnet18``, ``vit_b_16``, …).
    options
        Arguments of the architecture, for example ``{"num_classes": 10}``.

    Raises
    ------
    ArchitectureError
        The name is unknown (the nearest one is named), or an option is refused.
    """
    known = architectures()
    if architecture not in known:
        close = difflib.get_close_matches(architecture, known, n=3, cutoff=0.5)
        raise ArchitectureError(
            where=f"architecture '{architecture}'",
            expected="cifar_resnet or a torchvision classification network",
            found="an unknown name",
            remedy=f"Did you mean {' or '.join(map(repr, close))}?"
            if close
            else "Names are those of torchvision.",
        )
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            if architecture in OURS:
                network: nn.Module = OURS[architecture](**options)
            else:
                network = torchvision.models.get_model(architecture, weights=None, **options)
        except Exception as error:
            raise ArchitectureError(
                where=f"architecture '{architecture}'",
                expected="options that it takes",
                found=f"{dict(options)}: {next(iter(str(error).splitlines()), type(error).__name__)}",
                remedy="Correct the model's `options`.",
            ) from error
    return network.eval()
