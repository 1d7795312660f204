"""A user's own networks: installed packages offer them as entry points.

A package declares, in its ``pyproject.toml``::

    [project.entry-points."stitchpipe.models"]
    my_network = "my_package.networks:make"

and a sweep names it: ``architecture = "my_network"``, with ``options = { width = 64 }``.

The entry point is a callable that takes the options and returns a `torch.nn.Module`; a class of modules is one. The
module takes images ``(n, C, H, W)`` and returns logits ``(n, classes)``, or features: a tensor of other axes, or a
record (a mapping, a dataclass) without ``logits``, see `stitchpipe.graph.answers`. One that returns features ``(n, k)``
as a single tensor says so by an attribute ``num_classes`` that is 0. ``num_classes``, as many as the data have, is
handed over where the callable has a parameter of that name and the options do not say. The library's own names come
first: an entry point called ``resnet18`` is never asked.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn

from stitchpipe.models.errors import ArchitectureError
from stitchpipe.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

NETWORKS = Plugins("stitchpipe.models", "architecture", ArchitectureError)
"""The networks that installed packages register."""


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return what the entry point makes of the options.

    Raises
    ------
    ArchitectureError
        It cannot be imported, or returns no module.
    """
    network = NETWORKS.load(name)(**options)
    if not isinstance(network, nn.Module):
        raise ArchitectureError(
            where=f"architecture '{name}'",
            expected=f"a torch.nn.Module from the entry point of the group {NETWORKS.group}",
            found=f"a {type(network).__name__}",
            remedy="Correct the package.",
        )
    return network


def takes_classes(name: str) -> bool:
    """Return whether the entry point has a parameter ``num_classes``."""
    try:
        parameters = inspect.signature(NETWORKS.load(name)).parameters
    except ValueError:  # a callable without a signature
        return False
    return "num_classes" in parameters
