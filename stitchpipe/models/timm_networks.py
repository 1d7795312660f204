"""timm's image classifiers, ``timm/NAME``: an optional dependency."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stitchpipe.errors import nearest
from stitchpipe.models.errors import ArchitectureError, WeightsError
from stitchpipe.models.extras import demanded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network."""
    timm = _library(name)
    network: nn.Module = timm.create_model(name, pretrained=False, **options)
    return network


def published(name: str, options: Mapping[str, Any], weights: str | bool) -> nn.Module:
    """Return a network with published weights: their tag (``augreg_in21k``), or True for the default ones.

    Raises
    ------
    WeightsError
        Another number of classes is asked for than the weights have: timm would make a random classifier of it.
    """
    timm = _library(name)
    tagged = name if weights is True else f"{name.partition('.')[0]}.{weights}"
    network: nn.Module = timm.create_model(tagged, pretrained=True, **options)
    published_classes = network.pretrained_cfg.get("num_classes")  # type: ignore[union-attr, operator]
    asked = options.get("num_classes", published_classes)
    if asked != published_classes:
        raise WeightsError(
            where=f"'timm/{tagged}'",
            expected=f"{published_classes} classes, as many as the published weights have",
            found=f"num_classes = {asked}",
            remedy="Leave the option out, or train a network of your own and load its `weights`.",
        )
    return network


def demand_known(name: str) -> None:
    """Refuse a name that timm does not have, or any where it is not installed."""
    _library(name)


def _library(name: str) -> Any:
    demanded("timm", f"timm/{name}")
    timm = import_module("timm")
    if not timm.is_model(name):
        raise ArchitectureError(
            where=f"architecture 'timm/{name}'",
            expected="a network of timm",
            found="an unknown name",
            remedy=nearest(name, timm.list_models(), most=3, prefix="timm/")
            or "timm.list_models() has the names.",
        )
    return timm
