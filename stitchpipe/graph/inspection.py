"""What is to be known of a network without having it: layers, cuts, how they were reached; and as a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import torch
from torch import Tensor, nn

from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.graph.joint_cuts import joint_cuts, told_together
from stitchpipe.graph.layer_info import LayerInfo
from stitchpipe.graph.layout import channels_last
from stitchpipe.graph.opening import observed, opened
from stitchpipe.graph.trace import in_eval_mode
from stitchpipe.rows import token_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.graph.layout import Shape
    from stitchpipe.graph.opening import Opened

VERSION: Final = 3
"""Of the record; raised when its fields, or what they mean, change."""


class InspectionError(ExplainedError, ValueError):
    """A record of an inspection that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A network's layers and cuts, found once: who has them needs no network.

    Attributes
    ----------
    network
        The network's class.
    image
        The shape ``(C, H, W)`` of the images that it was inspected on.
    layers
        All of them in execution order, those of functions too.
    by_hooks
        Why forward hooks had to be used; empty where torch.fx traced the network.
    output_width
        How many logits it gives for an image; None of a network that gives features instead.
    joint_cuts
        Layers whose values together are all that the rest of the network needs, in the network's order: of networks
        that have no single cut in a long stretch of their depth, see `stitchpipe.graph.joint_cuts`.
    """

    network: str
    image: tuple[int, ...]
    layers: tuple[LayerInfo, ...]
    by_hooks: str
    output_width: int | None
    joint_cuts: tuple[tuple[str, ...], ...] = ()

    @property
    def traced_by(self) -> Literal["fx", "hooks"]:
        """How its layers are reached."""
        return "hooks" if self.by_hooks else "fx"

    @property
    def has_logits(self) -> bool:
        """Whether it classifies images; otherwise it gives features of them."""
        return self.output_width is not None

    @property
    def cuts(self) -> tuple[str, ...]:
        """Names of the layers from which the rest of the network can run, those of functions too."""
        return tuple(info.name for info in self.layers if info.is_cut)

    def to_dict(self) -> dict[str, Any]:
        """Return a record of what JSON has: objects, lists, strings, numbers, true, false and null."""
        return {
            "version": VERSION,
            "network": self.network,
            "image": list(self.image),
            "by_hooks": self.by_hooks,
            "output_width": self.output_width,
            "layers": [_layer_record(info) for info in self.layers],
            "joint_cuts": [list(members) for members in self.joint_cuts],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the inspection that `to_dict` made a record of.

        Raises
        ------
        InspectionError
            The record is of another version, or not what `to_dict` writes.
        """
        version = record.get("version")
        if version != VERSION:
            raise InspectionError(
                where="record of an inspected network",
                expected=f"version {VERSION}",
                found=f"version {version}",
                remedy="Inspect the network again.",
            )
        try:
            by_hooks = str(record["by_hooks"])
            width = record["output_width"]
            return cls(
                network=str(record["network"]),
                image=_sizes(record["image"]),
                layers=tuple(_layer(layer, by_hooks) for layer in record["layers"]),
                by_hooks=by_hooks,
                output_width=None if width is None else int(width),
                joint_cuts=tuple(tuple(map(str, members)) for members in record["joint_cuts"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InspectionError(
                where="record of an inspected network",
                expected=f"the fields of version {VERSION}",
                found=named_line(error),
                remedy="Inspect the network again.",
            ) from error


@torch.inference_mode()
def inspect(network: nn.Module | Opened, example: Tensor) -> Inspection:
    """Find the layers of `network` and which of them are cuts; `example` is a batch of one image or more.

    Who also wants an extractor or tails of the same network opens it once for all (`stitchpipe.graph.opened`).

    Only outputs with one entry per image and one to three dimensions besides are layers: windows cut out of
    images, tuples and parameters are not. Values ``(H, W, C)`` are listed as ``(C, H, W)``. Those of functions inside
    modules are listed too; hooks do not see them.

    Raises
    ------
    TraceError
        The network does not take such images.

    Notes
    -----
    Two forward passes in eval mode, a third where channels may be last; the network's own mode is what it was
    afterwards. Counting live values is linear in the graph's nodes and uses. By hooks: a forward pass or two for every
    layer, see `stitchpipe.graph.by_hooks`.
    """
    images = torch.cat([example, example])  # two images at least: a leading 1 could be anything
    # Cuts and shapes are those of evaluation: batch normalisation by batch statistics would make no layer a cut.
    reached = opened(network)
    network = reached.network
    with in_eval_mode(network):
        reached, seen = observed(reached, images)
        last = channels_last(network, images, seen, reached.observe)
        shapes = seen.of_layers(len(images))
        why_no_cut = reached.why_no_cut(list(shapes), example[:1])
        joint = joint_cuts(reached, {name: not why_no_cut[name] for name in shapes}, example[:1])
    # Tokens lie in a grid of the image's proportions; of other inputs they are taken for those of a square.
    size = (images.shape[2], images.shape[3]) if images.ndim == 4 else (1, 1)
    infos = tuple(
        LayerInfo(
            name,
            _channels_first(shape) if name in last else shape,
            is_cut=not why_no_cut[name],
            tokens=token_grid(shape[0], size) if len(shape) == 2 else None,
            channels_last=name in last,
            is_function=reached.is_function(name),
            why_no_cut=told_together(why_no_cut[name], name, joint),
            by_hooks=reached.by_hooks,
        )
        for name, shape in shapes.items()
    )
    return Inspection(
        network=type(network).__name__,
        image=tuple(example.shape[1:]),
        layers=infos,
        by_hooks=reached.by_hooks,
        output_width=int(seen.logits.shape[1]) if seen.has_logits else None,
        joint_cuts=joint,
    )


def layers(network: nn.Module, example: Tensor, *, functions: bool = False) -> tuple[LayerInfo, ...]:
    """Return the layers of `network` in execution order, see `inspect`; with `functions` those of functions too."""
    known = inspect(network, example).layers
    return known if functions else tuple(info for info in known if not info.is_function)


def _channels_first(shape: Shape) -> Shape:
    height, width, channels = shape
    return (channels, height, width)


def _layer_record(info: LayerInfo) -> dict[str, Any]:
    """Return a layer's fields but for `by_hooks`, which is the same for all layers of a network."""
    return {
        "name": info.name,
        "shape": list(info.shape),
        "is_cut": info.is_cut,
        "tokens": None if info.tokens is None else list(info.tokens),
        "channels_last": info.channels_last,
        "is_function": info.is_function,
        "why_no_cut": info.why_no_cut,
    }


def _layer(record: Mapping[str, Any], by_hooks: str) -> LayerInfo:
    tokens = record.get("tokens")
    sizes = {"shape": _sizes(record["shape"]), "tokens": None if tokens is None else _sizes(tokens)}
    return LayerInfo(**{**record, **sizes}, by_hooks=by_hooks)


def _sizes(numbers: Any) -> tuple[int, ...]:
    return tuple(map(int, numbers))
