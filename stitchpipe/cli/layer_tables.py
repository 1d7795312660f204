"""The layers of a network for the terminal and as JSON: their shapes, and where it can be cut."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text
from torch import nn

from stitchpipe.config import ConfigError, IngestedModel, NetworkModel, load, shipped
from stitchpipe.graph import LayerInfo, image_channels, inspect, joint_name
from stitchpipe.models import build, load_weights
from stitchpipe.rows import grid_label
from stitchpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

USUAL_SIZE = 224
_LEGEND = """\
shape: of one image, channels first. tokens 1+14x14: one that stands for no
place, then 14 rows of 14 patches. cut: its value is all that the rest of the
network needs, so other networks can be stitched into it; every layer can be a
source, be dumped and compared. For programs: --format json"""
_JOINT_LEGEND = """\
together: their values are all that the rest of the network needs, where for a
long way no single value is. In Python stitchpipe.graph.tail runs from them"""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a network's layers.

    Attributes
    ----------
    image
        The shape of the images it was run on.
    by_hooks
        Why hooks were needed; empty where torch.fx traced the network.
    joint_cuts
        Layers that are a cut together, where for a long way none is alone.
    """

    model: str
    image: tuple[int, ...]
    layers: tuple[LayerInfo, ...]
    joint_cuts: tuple[tuple[str, ...], ...] = ()

    @property
    def by_hooks(self) -> str:
        """Return why hooks were needed, if they were."""
        return next((info.by_hooks for info in self.layers), "")


def described(
    model: str,
    *,
    options: Sequence[str] = (),
    weights: Path | None = None,
    size: str | None = None,
    nodes: bool = False,
) -> Listing:
    """Return the layers of an architecture, or of a model of a sweep (``SWEEP.toml:NAME``).

    Parameters
    ----------
    options
        ``key=value``, the value as in TOML, or text.
    size
        Of the images: ``64``, or ``64x96`` for height and width. Default: what the network declares, or 224.
    nodes
        List functions inside modules too.

    Raises
    ------
    ConfigError, stitchpipe.models.ArchitectureError, stitchpipe.models.WeightsError, stitchpipe.graph.TraceError
        No such model, options that do not fit, or images that it does not take.
    """
    sweep, _, name = model.rpartition(":")
    if sweep.endswith(".toml") or sweep in shipped():
        found = _of_sweep(sweep, name, given=bool(options or weights or size))
    else:
        network = build(model, _options(options), seed=0)
        if weights is not None:
            load_weights(network, weights)
        image = (image_channels(network), *_size(size, network))
        inspection = inspect(network, torch.zeros(1, *image))
        found = Listing(model, image, inspection.layers, inspection.joint_cuts)
    kept = tuple(info for info in found.layers if nodes or not info.is_function)
    return replace(found, layers=kept)


def only_cuts(found: Listing) -> Listing:
    """Return a listing without the layers that are no cuts."""
    return replace(found, layers=tuple(info for info in found.layers if info.is_cut))


def listing(found: Listing) -> RenderableType:
    """Return a table of one row per layer, and what its words mean; it fits into 80 columns."""
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("name", overflow="fold")
    view.add_column("shape", no_wrap=True)
    view.add_column("layout", no_wrap=True)
    view.add_column("cut", overflow="fold")
    for info in found.layers:
        cells = (
            info.name,
            _times(info.shape),
            layout(info),
            "cut" if info.is_cut else f"no: {info.why_no_cut}",
        )
        view.add_row(*map(Text, cells), style=None if info.is_cut else "dim")
    cuts = sum(info.is_cut for info in found.layers)
    counts = (
        f"{cuts} cuts" if cuts == len(found.layers) else f"{len(found.layers)} layers, {cuts} of them cuts"
    )
    head = f"{found.model}, images {_times(found.image)}: {counts}"
    notice = [Text(f"by hooks: {found.by_hooks}")] if found.by_hooks else []
    return Group(Text(head, style="bold"), *notice, view, Text(_LEGEND), *_joint_listing(found))


def _joint_listing(found: Listing) -> list[RenderableType]:
    """Return a table of one row per joint cut, and what it means; nothing where there is none."""
    if not found.joint_cuts:
        return []
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("joint cut", overflow="fold")
    view.add_column("layers", justify="right")
    for members in found.joint_cuts:
        view.add_row(Text(joint_name(members)), Text(str(len(members))))
    return [Text(""), view, Text(_JOINT_LEGEND)]


def document(found: Listing) -> dict[str, Any]:
    """Return a listing as JSON has it."""
    return {
        "model": found.model,
        "image": found.image,
        "by_hooks": found.by_hooks,
        "layers": [
            {
                "name": info.name,
                "shape": info.shape,
                "layout": layout(info).partition(" ")[0],
                "grid": info.grid,
                "channels_last": info.channels_last,
                "is_function": info.is_function,
                "is_cut": info.is_cut,
                "why_no_cut": info.why_no_cut,
            }
            for info in found.layers
        ],
        "joint_cuts": [{"name": joint_name(members), "layers": members} for members in found.joint_cuts],
    }


def layout(info: LayerInfo) -> str:
    """Return what a layer's axes are: ``image 8x8``, ``tokens 1+8x8`` or ``vector``."""
    kind = {3: "image", 2: "tokens", 1: "vector"}[len(info.shape)]
    grid = f" {grid_label(info.grid)}" if info.grid else ""
    return f"{kind}{grid}{', channels last' if info.channels_last else ''}"


def _of_sweep(path: str, name: str, *, given: bool) -> Listing:
    if given:
        raise ConfigError(
            where=f"{path}:{name}",
            expected="no --options, --weights or --size: the sweep has its own",
            found="at least one of them",
            remedy="Remove them, or name the architecture instead of the sweep.",
        )
    sweep = load(path)
    declared = sweep.model(name)
    if not isinstance(declared, NetworkModel):
        raise ConfigError(
            where=f"{path}:{name}",
            expected="a model with a network",
            found="ingested activations" if isinstance(declared, IngestedModel) else "a control",
            remedy="`stitchpipe ls RUN` lists its layers.",
        )
    inspection = Run.open(sweep, Path("runs") / sweep.name).layers.inspection(declared)
    return Listing(
        f"{name} ({declared.architecture})", inspection.image, inspection.layers, inspection.joint_cuts
    )


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ConfigError(
                where="--options",
                expected="key=value, such as num_classes=10 or widths=[16,32,64]",
                found=f"'{pair}'",
                remedy="Give the option once for each argument of the architecture.",
            )
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found


def _size(text: str | None, network: nn.Module) -> tuple[int, int]:
    if text is None:
        return _declared_size(network)
    parts = text.split("x")
    if len(parts) not in {1, 2} or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(
            where="--size",
            expected="64, or 64x96 for height and width",
            found=f"'{text}'",
            remedy="Correct it.",
        )
    return int(parts[0]), int(parts[-1])


def _declared_size(network: nn.Module) -> tuple[int, int]:
    """Return the image size that a network says it takes: torchvision, timm and Hugging Face each in their way."""
    settings = getattr(network, "default_cfg", None) or {}
    size = getattr(network, "image_size", None) or getattr(
        getattr(network, "config", None), "image_size", None
    )
    size = getattr(getattr(network, "patch_embed", None), "img_size", None) or size
    size = size or (settings.get("input_size") if isinstance(settings, dict) else None) or USUAL_SIZE
    return (size, size) if isinstance(size, int) else (int(size[-2]), int(size[-1]))


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
