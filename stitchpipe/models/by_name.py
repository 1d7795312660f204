"""Architectures by name: our CIFAR ResNet, torchvision's, timm's and Hugging Face's classifiers, a user's own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from stitchpipe.errors import first_line, named_line, nearest
from stitchpipe.models import entry_points, hugging_face, objects, timm_networks, torchvision_networks
from stitchpipe.models.bounded_building import bounded
from stitchpipe.models.cifar_resnet import CifarResNet
from stitchpipe.models.errors import ArchitectureError, WeightsError
from stitchpipe.models.extras import demanded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

OURS = {"cifar_resnet": CifarResNet}
LIBRARIES: dict[str, Any] = {"timm": timm_networks, "hf": hugging_face, objects.PREFIX: objects}
"""What stands before the slash of an architecture's name → where it comes from."""


_ONE_AT_A_TIME = threading.Lock()
"""Networks draw their weights from torch's one global generator."""


def architectures() -> list[str]:
    """Return the names of the networks that are always there: ours and torchvision's."""
    return [*OURS, *torchvision_networks.names()]


def build(architecture: str, options: Mapping[str, Any], *, seed: int) -> nn.Module:
    """Return an untrained network in eval mode; its initial weights depend on `seed` alone.

    Parameters
    ----------
    architecture
        ``cifar_resnet``; a torchvision classification network (``resnet18``, ``vit_b_16``, …); ``timm/NAME``;
        ``hf/TYPE``, ``hf/FOLDER`` or ``hf/ORGANISATION/NAME``; or an entry point of an installed package.
    options
        Arguments of the architecture, for example ``{"num_classes": 10}``.

    Raises
    ------
    ArchitectureError
        The name is unknown (the nearest one is named), its library is not installed, an option is refused, or there
        would be more parameters than can be meant.
    """
    with _drawing_from(seed), bounded():
        try:
            network = _untrained(architecture, options)
        except (ArchitectureError, WeightsError):
            raise
        except Exception as error:
            raise _refused(architecture, options, error) from error
    return network.eval()


def published(architecture: str, options: Mapping[str, Any], weights: str | bool) -> nn.Module:
    """Return a network with published weights, in eval mode; they are fetched where they are not there yet.

    Parameters
    ----------
    weights
        torchvision's name (``IMAGENET1K_V1``), timm's tag, Hugging Face's id or folder; True for the default ones.

    Raises
    ------
    ArchitectureError
        As `build`; or nobody publishes weights of this architecture.
    WeightsError
        There are none of that name, they cannot be fetched, or they do not fit the options.
    """
    with _drawing_from(0):
        try:
            network = _pretrained(architecture, options, weights)
        except (ArchitectureError, WeightsError):
            raise
        except Exception as error:
            raise WeightsError(
                where=f"published weights of '{architecture}' (pretrained = {weights!r})",
                expected="weights to fetch, or kept from before",
                found=named_line(error),
                remedy="Correct the name or the options; without a network, load a file as `weights`.",
            ) from error
    return network.eval()


def demand_known(architecture: str) -> None:
    """Refuse a name that stands for no network, without building one; names of Hugging Face's are looked up later.

    Raises
    ------
    ArchitectureError
        The nearest names are given; or the library is not installed.
    """
    prefix, _, name = architecture.partition("/")
    if prefix == "timm" and name:
        timm_networks.demand_known(name)
        return
    if prefix == "hf" and name:
        demanded(prefix, architecture)
        return
    if prefix == objects.PREFIX and name:
        objects.demand_known(name)
        return
    registered = entry_points.NETWORKS.names()
    if architecture in OURS or architecture in registered:
        return  # torchvision is a matter of seconds, and not asked for
    known = [*architectures(), *registered]
    if architecture not in known:
        raise ArchitectureError(
            where=f"architecture '{architecture}'",
            expected="cifar_resnet, a torchvision classification network, timm/NAME, hf/NAME, or an entry point",
            found="an unknown name",
            remedy=nearest(architecture, known, most=3) or "Names are those of torchvision.",
        )


def takes_classes(architecture: str) -> bool:
    """Return whether an architecture has the option ``num_classes``: all that have a classifier.

    Of entry points, those that have a parameter of that name.
    """
    prefix, _, name = architecture.partition("/")
    if prefix == "hf" and name:
        return hugging_face.takes_classes(name)
    if prefix == objects.PREFIX:
        return False
    if architecture in OURS:
        return True
    return architecture not in _registered() or entry_points.takes_classes(architecture)


def _untrained(architecture: str, options: Mapping[str, Any]) -> nn.Module:
    prefix, _, name = architecture.partition("/")
    if prefix in LIBRARIES and name:
        network: nn.Module = LIBRARIES[prefix].build(name, options)
        return network
    if architecture in OURS:
        return OURS[architecture](**options)
    if architecture in torchvision_networks.names():
        return torchvision_networks.build(architecture, options)
    demand_known(architecture)
    return entry_points.build(architecture, options)


def _pretrained(architecture: str, options: Mapping[str, Any], weights: str | bool) -> nn.Module:
    prefix, _, name = architecture.partition("/")
    if prefix in LIBRARIES and name:
        network: nn.Module = LIBRARIES[prefix].published(name, options, weights)
        return network
    if architecture in torchvision_networks.names():
        return torchvision_networks.published(architecture, options, weights)
    _untrained(architecture, options)  # an unknown name is refused as such
    raise ArchitectureError(
        where=f"architecture '{architecture}'",
        expected="an architecture of torchvision, timm or Hugging Face, which publish weights",
        found="`pretrained` of another",
        remedy="Load a checkpoint with `weights`.",
    )


def _registered() -> list[str]:
    return [name for name in entry_points.NETWORKS.names() if name not in architectures()]


def _refused(architecture: str, options: Mapping[str, Any], error: Exception) -> ArchitectureError:
    return ArchitectureError(
        where=f"architecture '{architecture}'",
        expected="options that it takes",
        found=f"{dict(options)}: {first_line(error)}",
        remedy="Correct the model's `options`.",
    )


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let torch's global generator start at `seed`, and put it back afterwards."""
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
