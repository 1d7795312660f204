"""torchvision's classification networks, untrained or with their published weights."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from stitchpipe.models.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


@cache
def names() -> tuple[str, ...]:
    """Return the names of the architectures."""
    models = _models()
    return tuple(models.list_models(module=models))


def _models() -> Any:
    """Return torchvision's room of networks. It takes a second to import, with a compiler that nothing here uses."""
    return import_module("torchvision").models


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network."""
    network: nn.Module = _models().get_model(name, weights=None, **options)
    return network


def published(name: str, options: Mapping[str, Any], weights: str | bool) -> nn.Module:
    """Return a network with published weights: their name, or True for those torchvision holds best.

    The file is kept in torch's hub folder. It is read as tensors alone before torchvision reads it.

    Raises
    ------
    WeightsError
        There are none of that name.
    """
    known = _models().get_model_weights(name)
    wanted = "DEFAULT" if weights is True else str(weights)
    if wanted not in known.__members__:
        raise WeightsError(
            where=f"pretrained = '{weights}' of '{name}'",
            expected=f"weights that torchvision publishes ({', '.join(known.__members__)})",
            found="an unknown name",
            remedy="Take one of these, or true.",
        )
    chosen = known[wanted]
    torch.hub.load_state_dict_from_url(
        chosen.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
    )
    network: nn.Module = _models().get_model(name, weights=chosen, progress=False, **options)
    return network
