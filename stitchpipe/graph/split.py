"""Running parts of a network: its layers at once, or what lies behind one of them."""

from __future__ import annotations

import copy
import difflib
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from stitchpipe.graph.layers import LayerError, listed
from stitchpipe.graph.trace import Traced, TraceError, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOGITS = "logits"
"""The name under which an extractor returns the network's own output."""
PENULTIMATE = "penultimate"
"""Stands for what the network's last linear layer takes, whatever its name."""


class Extractor(torch.fx.Interpreter):
    """Runs a network and returns chosen layers' outputs and its logits.

    Each value is copied at the moment it is made, by `keep`: what an in-place operation does to it later is not seen.
    """

    def __init__(self, traced: Traced, names: Sequence[str], keep: Callable[[Tensor], Tensor]) -> None:
        super().__init__(torch.fx.GraphModule(traced.network, traced.graph))
        self.extra_traceback = False
        self._network = type(traced.network).__name__
        self._wanted: dict[str, list[str]] = {}
        for name in names:
            self._wanted.setdefault(_node(traced, name).name, []).append(name)
        self._seen: dict[str, Tensor] = {}
        self._keep = keep

    def run_node(self, n: torch.fx.Node) -> Any:
        """Run one node; keep its value if it is wanted."""
        value = super().run_node(n)
        for name in self._wanted.get(n.name, ()):
            if not isinstance(value, Tensor):
                raise LayerError(
                    where=f"layer '{name}'",
                    expected="a layer whose output is one tensor",
                    found=f"a {type(value).__name__}",
                    remedy="Take the layer that follows it.",
                )
            self._seen[name] = self._keep(value.detach())
        return value

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return layer name → activations ``(n, …)``, and ``logits``.

        Raises
        ------
        LayerError
            A layer's output is no tensor, or has not one entry per image.
        stitchpipe.graph.TraceError
            The network's own output is no tensor.
        """
        self._seen = {}
        logits = self.run(images)
        if not isinstance(logits, Tensor):
            raise TraceError(
                where=self._network,
                expected="a network that returns one tensor of logits",
                found=f"a {type(logits).__name__}",
                remedy="Wrap it in a module that returns the logits alone.",
            )
        seen, self._seen = self._seen, {}
        for name, value in seen.items():
            if value.ndim == 0 or len(value) != len(images):
                raise LayerError(
                    where=f"layer '{name}'",
                    expected=f"one output per image ({len(images)})",
                    found=f"shape {tuple(value.shape)}",
                    remedy="Take a layer whose first axis is the images.",
                )
        return {**seen, LOGITS: self._keep(logits)}


def extractor(
    network: nn.Module, names: Sequence[str], *, keep: Callable[[Tensor], Tensor] = torch.clone
) -> Extractor:
    """Return a function from images to the outputs of the layers `names` and the logits, in one forward pass.

    The function runs the network's own modules, which are put into eval mode for it.

    Parameters
    ----------
    keep
        What is kept of each value, in memory of its own.

    Raises
    ------
    LayerError, TraceError
        A name is not a layer of the network; the network cannot be traced.
    """
    if LOGITS in names:
        raise LayerError(
            where=f"layer '{LOGITS}'",
            expected="layers inside the network",
            found="the name kept for the network's own output, which always comes along",
            remedy="Leave it out.",
        )
    return Extractor(trace(network.eval()), names, keep)


def tail(network: nn.Module, name: str, *, through: Sequence[str] | None = None) -> nn.Module:
    """Return what lies behind a layer: activations of that layer ``(n, …)`` → logits.

    The tail owns copies of the parameters it uses, frozen and in eval mode; the head is not in it, and neither
    `network` nor the activations handed to the tail are ever changed by it.

    Parameters
    ----------
    through
        Layers behind it: the tail then returns a tuple of their outputs and, last, the logits. `PENULTIMATE` is what
        the last linear layer takes.

    Raises
    ------
    LayerError
        No such layer, or other values cross beside it (a residual); the nearest cuts are named. One of `through` is not
        behind it, or the network has no linear layer.
    TraceError
        The network cannot be traced.
    """
    traced = trace(network)
    node = _node(traced, name)
    if not traced.is_cut(node):
        raise _inside(traced, name, node)
    graph = torch.fx.Graph()
    # Operations behind the cut may work in place: they get a copy, so that stored activations stay as they are.
    entry = graph.call_function(torch.clone, (graph.placeholder("activations"),))
    copied: dict[torch.fx.Node, torch.fx.Node] = {node: entry}

    def behind_cut(one: torch.fx.Node) -> torch.fx.Node:
        if one not in copied:  # only parameters are made before the cut and used behind it
            copied[one] = graph.node_copy(one)
        return copied[one]

    nodes = list(traced.graph.nodes)
    behind = nodes[nodes.index(node) + 1 :]
    wanted = [_behind(traced, layer, behind, name) for layer in through or ()]
    kept: dict[torch.fx.Node, torch.fx.Node] = {}
    for one in behind:
        if one.op == "output":
            last = torch.fx.map_arg(one.args[0], behind_cut)
            if through is None:
                graph.output(last)
            else:
                graph.output((*(kept[one] for one in wanted), last))
        elif one.op != "get_attr":
            # Copied even if nothing uses its value: an in-place operation does its work all the same.
            copied[one] = graph.node_copy(one, behind_cut)
            if one in wanted:
                kept[one] = graph.call_function(torch.clone, (copied[one],))
    module = copy.deepcopy(torch.fx.GraphModule(network, graph, f"{type(network).__name__}Tail"))
    return module.eval().requires_grad_(requires_grad=False)


def _behind(traced: Traced, layer: str, behind: Sequence[torch.fx.Node], name: str) -> torch.fx.Node:
    """Return the node of a layer that a tail runs through."""
    node = _penultimate(traced) if layer == PENULTIMATE else _node(traced, layer)
    if node not in behind:
        raise LayerError(
            where=f"layer '{layer}'",
            expected=f"a layer behind '{name}'",
            found="one before it",
            remedy="Take a layer that the tail runs through.",
        )
    return node


def _penultimate(traced: Traced) -> torch.fx.Node:
    modules = dict(traced.network.named_modules())
    for node in reversed(traced.graph.nodes):
        if node.op == "call_module" and isinstance(modules.get(str(node.target)), nn.Linear):
            taken = node.args[0]
            if isinstance(taken, torch.fx.Node):
                return taken
    raise LayerError(
        where=type(traced.network).__name__,
        expected="a network that ends in a linear layer",
        found="none",
        remedy="Choose another objective than matching at the penultimate layer.",
    )


def _node(traced: Traced, name: str) -> torch.fx.Node:
    try:
        return traced.outputs[name]
    except KeyError:
        known = list(traced.outputs)
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise LayerError(
            where=f"layer '{name}'",
            expected=f"a layer of {type(traced.network).__name__}",
            found="no such name",
            remedy=f"Did you mean {' or '.join(close)}?" if close else f"Layers are {listed(known)}.",
        ) from None


def _inside(traced: Traced, name: str, node: torch.fx.Node) -> LayerError:
    """Return the error that says why a layer is no cut, and names up to three that are, nearest first."""
    found = f"{traced.crossing(node)} values that cross there, as inside a residual"
    if not traced.is_used(node):
        found = "a value that nothing behind it uses"
    names = list(traced.outputs)
    place = names.index(name)
    cuts = [position for position, other in enumerate(traced.outputs.values()) if traced.is_cut(other)]
    near = [names[position] for position in sorted(cuts, key=lambda cut: abs(cut - place))[:3]]
    return LayerError(
        where=f"layer '{name}'",
        expected="a layer whose output is all that the rest of the network needs",
        found=found,
        remedy=f"Cuts near it: {', '.join(near)}." if near else "This network has no cut.",
    )
