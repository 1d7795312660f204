"""The values of several layers in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stitchpipe.graph.layer_info import LayerError
from stitchpipe.graph.layout import channels_first, channels_last
from stitchpipe.graph.opening import observed, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from stitchpipe.graph.opening import Opened

LOGITS = "logits"
"""The name under which an extractor returns the network's own output, where it classifies."""


class Extractor:
    """Runs a network and returns chosen layers' outputs, and its logits if it gives some.

    Each value is copied at the moment it is made, by `keep`: what an in-place operation does to it later is not seen.
    Images are ``(C, H, W)`` whatever the network does: `keep` is shown a view with its channels first.

    Attributes
    ----------
    by_hooks
        Why the network is run with hooks; empty where it is run through its graph. Known after the first call.
    """

    def __init__(
        self, network: nn.Module | Opened, names: Sequence[str], keep: Callable[[Tensor], Tensor]
    ) -> None:
        self._network = opened(network)
        self._names = tuple(names)
        self._keep = keep
        self._last: frozenset[str] | None = None
        self._has_logits = True
        for name in names:
            self._network.demand(name)

    @property
    def by_hooks(self) -> str:
        """Return why the network is run with hooks, if it is."""
        return self._network.by_hooks

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return layer name → activations ``(n, …)``, and ``logits`` of a network that classifies.

        The first call also finds out how the network lays out its values: a forward pass or two more, of one image.

        Raises
        ------
        LayerError
            A layer's output is no tensor, or has not one entry per image.
        stitchpipe.graph.TraceError
            The network does not take such images, or returns no tensor.
        """
        # The layout of a network's values is only known once it has run on images of this size, so it is
        # found out at the first call.
        if self._last is None:
            self._last = self._settled(images[:1])
        last, seen = self._last, dict[str, Tensor]()

        def take(name: str, value: Any) -> None:
            value = _tensor(name, value)
            # The copy is taken while the value is as the layer made it: an operation behind it may work in place.
            seen[name] = self._keep((channels_first(value) if name in last else value).detach())
            if value.ndim == 0 or len(value) != len(images):
                raise LayerError(
                    where=f"layer '{name}'",
                    expected=f"one output per image ({len(images)})",
                    found=f"shape {tuple(value.shape)}",
                    remedy="Take a layer whose first axis is the images.",
                )

        logits = self._network.run(images, self._names, take)
        return {**seen, LOGITS: self._keep(logits)} if self._has_logits else seen

    def _settled(self, images: Tensor) -> frozenset[str]:
        """Return the layers whose channels are last; go over to hooks where the graph is not the network."""
        # Where the graph gives other answers than the network itself, `observed` hands back the network with
        # hooks. The names must then be asked for again.
        self._network, seen = observed(self._network, images)
        self._has_logits = seen.has_logits
        for name in self._names:
            self._network.demand(name)
        # Only values of four axes can hold their channels last, so nothing more is run where none is
        # wanted.
        if all(len(seen.shapes.get(name, ())) != 4 for name in self._names):
            return frozenset()
        return channels_last(self._network.network, images, seen, self._network.observe)


def extractor(
    network: nn.Module | Opened, names: Sequence[str], *, keep: Callable[[Tensor], Tensor] = torch.clone
) -> Extractor:
    """Return a function from images to the outputs of the layers `names` and the logits, in one forward pass.

    A network without a head gives no logits, and its layers come alone.

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
    reached = opened(network)
    reached.network.eval()
    return Extractor(reached, names, keep)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise LayerError(
        where=f"layer '{name}'",
        expected="a layer whose output is one tensor",
        found=f"a {type(value).__name__}",
        remedy="Take the layer that follows it.",
    )
