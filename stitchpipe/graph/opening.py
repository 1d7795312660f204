"""How a network's layers are reached: through its graph, or by hooks where the graph cannot be had or is not it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from stitchpipe.errors import first_line
from stitchpipe.graph.answers import answer_of, gives_logits
from stitchpipe.graph.by_graph import TracedNetwork
from stitchpipe.graph.by_hooks import HookedNetwork
from stitchpipe.graph.trace import TraceError

if TYPE_CHECKING:
    from stitchpipe.graph.layout import Seen

Opened: TypeAlias = TracedNetwork | HookedNetwork

TOLERANCE = 1e-4
"""Of the graph's logits against the network's own, relative to the largest; a wrong branch differs by far more."""


def opened(network: nn.Module | Opened) -> Opened:
    """Return a network through its graph, or by hooks where torch.fx cannot trace it; itself where it is opened.

    Of one that `torch.compile` made the network inside is taken: its layers have the names that people know.
    """
    if not isinstance(network, nn.Module):
        return network
    network = uncompiled(network)
    try:
        return TracedNetwork(network)
    except TraceError as error:
        return HookedNetwork(network, f"torch.fx cannot trace it: {error.found}")


def uncompiled(network: nn.Module) -> nn.Module:
    """Return the network that `torch.compile` was given, or the network itself where it was given to nobody."""
    inside = getattr(network, "_orig_mod", None)
    is_compiled = isinstance(inside, nn.Module) and [name for name, _ in network.named_children()] == [
        "_orig_mod"
    ]
    return inside if is_compiled and isinstance(inside, nn.Module) else network


def observed(network: Opened, images: Tensor) -> tuple[Opened, Seen]:
    """Return what a forward pass shows, and the network by hooks where its graph gives other answers than itself.

    While it is traced a network cannot tell a tensor's class or shape and may take a branch that it never takes.

    Raises
    ------
    TraceError
        The network does not take such images, or returns no tensor.
    """
    try:
        own = network.network(images)
    except Exception as error:
        _demand_one_precision(network.network, images)
        raise TraceError(
            where=type(network.network).__name__,
            expected=f"a network that takes images of shape {tuple(images.shape[1:])}",
            found=first_line(error),
            remedy="Give the architecture the options, or the images the size, that fit each other.",
        ) from error
    if not isinstance(answer_of(own), Tensor):
        raise TraceError(
            where=type(network.network).__name__,
            expected="a network that returns a tensor, or a record that holds some",
            found=f"a {type(own).__name__}",
            remedy="Wrap it in a module that returns its logits or features.",
        )
    reason = "its graph gives other answers than the network itself"
    if not isinstance(own, Tensor):
        reason = f"it returns a {type(own).__name__}, not one tensor"
    elif isinstance(network, TracedNetwork):
        try:
            seen = network.observe(images)
        except Exception as error:  # noqa: BLE001 - a wrong branch fails however it likes
            reason = f"its graph does not run: {first_line(error)}"
        else:
            if _agree(seen.logits, own):
                seen.has_logits = gives_logits(network.network, own)
                return network, seen
    if isinstance(network, TracedNetwork):
        network = HookedNetwork(network.network, reason)
    seen = network.observe(images)
    seen.has_logits = gives_logits(network.network, own)
    return network, seen


def _demand_one_precision(network: nn.Module, images: Tensor) -> None:
    """Refuse images of another number format than that of a network's weights: their size is not to blame."""
    formats = {weight.dtype for weight in network.parameters() if weight.is_floating_point()}
    if formats and images.dtype not in formats:
        own = ", ".join(sorted(map(str, formats)))
        raise TraceError(
            where=type(network).__name__,
            expected=f"a network and images of one number format, such as {images.dtype}"
            if images.is_floating_point()
            else "images of floating-point numbers, as the network's weights",
            found=f"weights of {own} and images of {images.dtype}",
            remedy="Convert the network with .float(), and images with .float() too (scaled from 0 to 1, say).",
        )


def _agree(traced: object, own: object) -> bool:
    if not (isinstance(traced, Tensor) and isinstance(own, Tensor)):
        return type(traced) is type(own)
    if traced.shape != own.shape:
        return False
    scale = float(own.abs().nan_to_num(0.0, 0.0).max()) if own.numel() else 0.0
    return torch.allclose(traced, own, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)
