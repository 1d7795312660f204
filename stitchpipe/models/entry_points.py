"""A user's own networks: installed packages offer them as entry points.

A package declares, in its ``pyproject.toml``::

    [project.entry-points."stitchpipe.models"]
    my_network = "my_package.networks:make"

and a sweep names it: ``architecture = "my_network"``, with ``options = { width = 64 }``.

The entry point is a callable that takes the options and returns a `torch.nn.Module`; a class of modules is one. The
module takes images ``(n, C, H, W)`` and returns logits ``(n, classes)``. ``num_classes``, as many as the data have, is
handed over where the callable has a parameter of that name and the options do not say. The library's own names come
first: an entry point called ``resnet18`` is never asked.
"""

from __future__ import annotations

import inspect
from importlib import metadata
from typing import TYPE_CHECKING, Any

from torch import nn

from stitchpipe.errors import named_line
from stitchpipe.models.errors import ArchitectureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUP = "stitchpipe.models"


def names() -> list[str]:
    """Return the names that installed packages register."""
    return sorted(point.name for point in metadata.entry_points(group=GROUP))


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return what the entry point makes of the options.

    Raises
    ------
    ArchitectureError
        It cannot be imported, or returns no module.
    """
    network = _factory(name)(**options)
    if not isinstance(network, nn.Module):
        raise ArchitectureError(
            where=f"architecture '{name}'",
            expected=f"a torch.nn.Module from the entry point of the group {GROUP}",
            found=f"a {type(network).__name__}",
            remedy="Correct the package.",
        )
    return network


def takes_classes(name: str) -> bool:
    """Return whether the entry point has a parameter ``num_classes``."""
    try:
        parameters = inspect.signature(_factory(name)).parameters
    except ValueError:  # a callable without a signature
        return False
    return "num_classes" in parameters


def _factory(name: str) -> Callable[..., Any]:
    point = {one.name: one for one in metadata.entry_points(group=GROUP)}[name]
    try:
        factory: Callable[..., Any] = point.load()
    except Exception as error:
        raise ArchitectureError(
            where=f"entry point '{name}' ({point.value})",
            expected="an import",
            found=named_line(error),
            remedy="Correct the package.",
        ) from error
    return factory
