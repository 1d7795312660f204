"""What lies behind a layer: the rest of a network, run from the layer's activations alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stitchpipe.graph.by_graph import TracedNetwork
from stitchpipe.graph.joint_cuts import members_of
from stitchpipe.graph.joint_tail import JointTail, demand_members
from stitchpipe.graph.layout import channels_last
from stitchpipe.graph.opening import observed, opened
from stitchpipe.graph.trace import in_eval_mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stitchpipe.graph.opening import Opened

PROBES = (64, 224, 32, 256, 96, 299, 384, 28, 16, 8)
"""Image sizes that a tail tries where it was given no example."""


def tail(
    network: nn.Module,
    name: str,
    *,
    example: Tensor | None = None,
    through: Sequence[str] | None = None,
) -> nn.Module:
    """Return what lies behind a layer: activations of that layer ``(n, …)`` → logits.

    The tail owns copies of the parameters it uses, frozen and in eval mode; the head is not in it, and neither
    `network` nor the activations handed to the tail are ever changed by it. Where torch.fx cannot trace the network
    the tail is the network on blank images, with the layer's output replaced, less the modules that are done by then.

    Of a joint cut, ``a+b``, the tail takes the layers' activations by name: ``{"a": (n, …), "b": (n, …)}``.

    Parameters
    ----------
    example
        One image or more, of the size that the activations are of. Needed where the network is not traced, and of a
        joint cut; otherwise usual sizes are tried, to find out whether the layer holds its channels last.
    through
        Layers behind it: the tail then returns a tuple of their outputs and, last, the logits. `PENULTIMATE` is what
        the last linear layer takes.

    Raises
    ------
    LayerError
        No such layer, or other values cross beside it (a residual); the nearest cuts are named, and a joint cut if
        there is one. One of `through` is not behind it, or the network has no linear layer.
    TraceError
        The network does not take the example.
    """
    reached = opened(network)
    members = _members(reached, name)
    with in_eval_mode(network), torch.no_grad():
        if len(members) > 1:
            demand_members(members, example)
        if example is None:
            last = _layout_without_example(reached, name)
        else:
            reached, seen = observed(reached, example)
            layers_last = channels_last(network, example, seen, reached.observe)
            if len(members) > 1:
                return _joint_tail(reached, members, layers_last, example, through)
            last = name in layers_last
        return reached.tail(name, last=last, images=example, through=through)


def _members(reached: Opened, name: str) -> tuple[str, ...]:
    """Return the layers of a joint cut by its name, or the one layer that has it."""
    return (name,) if reached.is_layer(name) else members_of(name)


def _joint_tail(
    reached: Opened,
    members: tuple[str, ...],
    layers_last: frozenset[str],
    images: Tensor,
    through: Sequence[str] | None = None,
) -> JointTail:
    last = {name: name in layers_last for name in members}
    return JointTail(members, reached.joint_tail(last, images=images, through=through))


def tails(
    network: nn.Module | Opened, names: Sequence[str], *, example: Tensor
) -> Iterator[tuple[str, nn.Module]]:
    """Yield each layer and what lies behind it, one at a time; see `tail`.

    The network is traced and run once for all, which of a deep one takes longer than a tail's forward pass.
    """
    reached = opened(network)
    network = reached.network
    with in_eval_mode(network), torch.no_grad():
        reached, seen = observed(reached, example)
        last = channels_last(network, example, seen, reached.observe)
    for name in names:
        with in_eval_mode(network), torch.no_grad():
            members = _members(reached, name)
            made: list[nn.Module] = [
                reached.tail(name, last=name in last, images=example)
                if len(members) == 1
                else _joint_tail(reached, members, last, example)
            ]
        # Nothing of the tail is held here while its user has it: a large network's are had one at a time.
        yield name, made.pop()


def image_channels(network: nn.Module) -> int:
    """Return how many channels a network's images have: those of its first convolution, 3 where there is none."""
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 3)


def _layout_without_example(reached: Opened, name: str) -> bool | None:
    """Return whether a layer holds its channels last; None where no usual image can be had to find out."""
    if not isinstance(reached, TracedNetwork):
        return None
    reached.demand(name)
    if not reached.may_hold_channels_last:
        return False
    network = reached.network
    # The blank image takes the device and the dtype of the network's parameters.
    parameter = next(network.parameters(), torch.zeros(1))
    for size in PROBES:
        images = parameter.new_zeros(1, image_channels(network), size, size)
        try:
            seen = reached.observe(images)
        except Exception:  # noqa: BLE001, S112 - a network refuses a size however it likes
            continue
        # A value without four axes holds no image, and its channels need not be moved.
        if len(seen.shapes.get(name, ())) != 4:
            return False
        return name in channels_last(network, images, seen, reached.observe)
    return None
