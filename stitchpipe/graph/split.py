"""Running parts of a network: its layers at once, or what lies behind one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.graph.by_graph import TracedNetwork
from stitchpipe.graph.layer_info import LayerError
from stitchpipe.graph.layout import channels_first, channels_last
from stitchpipe.graph.opening import observed, opened
from stitchpipe.graph.trace import TraceError, in_eval_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.graph.opening import Opened

LOGITS = "logits"
"""The name under which an extractor returns the network's own output."""

PROBES = (64, 224, 32, 256, 96, 299, 384, 28, 16, 8)
"""Image sizes that a tail tries where it was given no example."""


class Extractor:
    """Runs a network and returns chosen layers' outputs and its logits.

    Each value is copied at the moment it is made, by `keep`: what an in-place operation does to it later is not seen.
    Images are ``(C, H, W)`` whatever the network does: `keep` is shown a view with its channels first.

    Attributes
    ----------
    by_hooks
        Why the network is run with hooks; empty where it is run through its graph. Known after the first call.
    """

    def __init__(self, network: nn.Module, names: Sequence[str], keep: Callable[[Tensor], Tensor]) -> None:
        self._network = opened(network)
        self._names = tuple(names)
        self._keep = keep
        self._last: frozenset[str] | None = None
        for name in names:
            self._network.demand(name)

    @property
    def by_hooks(self) -> str:
        """Return why the network is run with hooks, if it is."""
        return self._network.by_hooks

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return layer name → activations ``(n, …)``, and ``logits``.

        The first call also finds out how the network lays out its values: a forward pass or two more, of one image.

        Raises
        ------
        LayerError
            A layer's output is no tensor, or has not one entry per image.
        stitchpipe.graph.TraceError
            The network does not take such images, or its own output is no tensor.
        """
        if self._last is None:
            self._last = self._settled(images[:1])
        last, seen = self._last, dict[str, Tensor]()

        def take(name: str, value: Any) -> None:
            value = _tensor(name, value)
            seen[name] = self._keep((channels_first(value) if name in last else value).detach())
            if value.ndim == 0 or len(value) != len(images):
                raise LayerError(
                    where=f"layer '{name}'",
                    expected=f"one output per image ({len(images)})",
                    found=f"shape {tuple(value.shape)}",
                    remedy="Take a layer whose first axis is the images.",
                )

        logits = self._network.run(images, self._names, take)
        if not isinstance(logits, Tensor):
            raise TraceError(
                where=type(self._network.network).__name__,
                expected="a network that returns one tensor of logits",
                found=f"a {type(logits).__name__}",
                remedy="Wrap it in a module that returns the logits alone.",
            )
        return {**seen, LOGITS: self._keep(logits)}

    def _settled(self, images: Tensor) -> frozenset[str]:
        """Return the layers whose channels are last; go over to hooks where the graph is not the network."""
        self._network, seen = observed(self._network, images)
        for name in self._names:
            self._network.demand(name)
        if all(len(seen.shapes.get(name, ())) != 4 for name in self._names):
            return frozenset()
        return channels_last(self._network.network, images, seen, self._network.observe)


def extractor(
    network: nn.Module, names: Sequence[str], *, keep: Callable[[Tensor], Tensor] = torch.clone
) -> Extractor:
    """Return a function from images to the outputs of the layers `names` and the logits, in one forward pass.

    The function runs the network's own modules, which are put into eval mode for it: through the network's graph, or
    with forward hooks where torch.fx cannot trace it.

    Parameters
    ----------
    keep
        What is kept of each value, in memory of its own.

    Raises
    ------
    LayerError
        A name is not a layer of the network.
    """
    if LOGITS in names:
        raise LayerError(
            where=f"layer '{LOGITS}'",
            expected="layers inside the network",
            found="the name kept for the network's own output, which always comes along",
            remedy="Leave it out.",
        )
    return Extractor(network.eval(), names, keep)


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

    Parameters
    ----------
    example
        One image or more, of the size that the activations are of. Needed where the network is not traced; otherwise
        usual sizes are tried, to find out whether the layer holds its channels last.
    through
        Layers behind it: the tail then returns a tuple of their outputs and, last, the logits. `PENULTIMATE` is what
        the last linear layer takes.

    Raises
    ------
    LayerError
        No such layer, or other values cross beside it (a residual); the nearest cuts are named. One of `through` is not
        behind it, or the network has no linear layer.
    TraceError
        The network does not take the example.
    """
    reached = opened(network)
    with in_eval_mode(network), torch.no_grad():
        if example is None:
            last = _layout_without_example(reached, name)
        else:
            reached, seen = observed(reached, example)
            last = name in channels_last(network, example, seen, reached.observe)
        return reached.tail(name, last=last, images=example, through=through)


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
    parameter = next(network.parameters(), torch.zeros(1))
    for size in PROBES:
        images = parameter.new_zeros(1, image_channels(network), size, size)
        try:
            seen = reached.observe(images)
        except Exception:  # noqa: BLE001, S112 - a network refuses a size however it likes
            continue
        if len(seen.shapes.get(name, ())) != 4:
            return False
        return name in channels_last(network, images, seen, reached.observe)
    return None


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise LayerError(
        where=f"layer '{name}'",
        expected="a layer whose output is one tensor",
        found=f"a {type(value).__name__}",
        remedy="Take the layer that follows it.",
    )
