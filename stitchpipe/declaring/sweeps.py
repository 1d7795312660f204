"""A sweep of what was handed over: every object becomes a declaration with an identity of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config import ConfigError, Sweep, from_table
from stitchpipe.declaring.images import declared_images
from stitchpipe.models import hold_module

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_COMPARE: Final[Mapping[str, Sequence[str]]] = {"pooled": ("cka", "procrustes_angle", "dm_r2")}
"""Indices by view, unless others are asked for."""


def sweep_of(
    models: Mapping[str, Any],
    data: Any,
    *,
    name: str = "python",
    test_fraction: float = 0.5,
    groups: Any = None,
    layers: Sequence[str] = ("blocks",),
    compare: Mapping[str, Sequence[str]] = DEFAULT_COMPARE,
    **tables: Any,
) -> Sweep:
    """Return the sweep that networks and images stand for; see `stitchpipe.declaring.run`.

    Raises
    ------
    ConfigError
        Something in it is none of the kinds that are known, or contradicts itself: all mistakes in one message.
    stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        The data hold no images, or groups that do not fit; a module cannot be kept.
    """
    if not isinstance(models, Mapping) or not models:
        raise ConfigError(
            where="models",
            expected="networks by name, {'mine': module, 'theirs': 'resnet18'}",
            found=f"a {type(models).__name__}" if not isinstance(models, Mapping) else "none",
            remedy="Give each network a name.",
        )
    declared = {
        "name": name,
        "data": declared_images(data, name, test_fraction, groups),
        "models": [{"name": model, **_declared(model, given)} for model, given in models.items()],
        "compare": [{"view": view, "indices": list(indices)} for view, indices in compare.items()],
        "dump": {"layers": [layers] if isinstance(layers, str) else list(layers), **tables.pop("dump", {})},
        **tables,
    }
    if not compare:
        declared.pop("compare")
    return from_table(declared, where="sp.run", folder=Path.cwd())


def _declared(name: str, given: Any) -> dict[str, Any]:
    """Return what a model's table says beside its name: of a module, of a table, of a library's name."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):
        return {"architecture": given, "pretrained": True}
    if callable(getattr(given, "state_dict", None)) and callable(getattr(given, "forward", None)):
        return {"architecture": hold_module(given), "object": True}
    raise ConfigError(
        where=f"models['{name}']",
        expected="a torch module, a table, or the name of an architecture with published weights",
        found=f"a {type(given).__name__}",
        remedy="Give for example {'architecture': 'resnet18', 'untrained': True}.",
    )
