"""Running parts of a network: its layers at once, or what lies behind one of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from stitchpipe.graph.layers import LayerError
from stitchpipe.graph.trace import Traced, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGITS = "logits"
"""The name under which an extractor returns the network's own output."""


class Extractor(torch.fx.Interpreter):
    """Runs a network and returns chosen layers' outputs and its logits.

    Each value is copied at the moment it is made: what an in-place operation does to it later is not seen.
    """

    def __init__(self, traced: Traced, names: Sequence[str]) -> None:
        super().__init__(torch.fx.GraphModule(traced.network, traced.graph))
        self._wanted: dict[str, list[str]] = {}
        for name in names:
            self._wanted.setdefault(_node(traced, name).name, []).append(name)
        self._seen: dict[str, Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        """Run one node; keep its value if it is wanted."""
        value = super().run_node(n)
        for name in self._wanted.get(n.name, ()):
            self._seen[name] = value.detach().clone()
        return value

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return layer name → activations ``(n, …)``, and ``logits``."""
        self._seen = {}
        logits = self.run(images)
        return {**self._seen, LOGITS: logits}


def extractor(network: nn.Module, names: Sequence[str]) -> Extractor:
    """Return a function from images to the outputs of the layers `names` and the logits, in one forward pass.

    Raises
    ------
    LayerError, TraceError
        A name is not a layer of the network; the network cannot be traced.
    """
    return Extractor(trace(network), names)


def tail(network: nn.Module, name: str) -> nn.Module:
    """Return what lies behind a layer: activations of that layer ``(n, …)`` → logits.

    The tail owns copies of the parameters it uses, frozen and in eval mode; the head is not in it.

    Raises
    ------
    LayerError
        No such layer, or other values cross beside it (a residual); the nearest cuts are named.
    TraceError
        The network cannot be traced.
    """
    traced = trace(network)
    node = _node(traced, name)
    if not traced.is_cut(node):
        cuts = [layer for layer, other in traced.outputs.items() if traced.is_cut(other)]
        raise LayerError(
            where=f"layer '{name}'",
            expected="a layer whose output is all that the rest of the network needs",
            found=f"{len(traced.live_after(node))} values that cross there (a residual, or a dead end)",
            remedy=f"Cuts near it: {', '.join(_nearest(list(traced.outputs), name, cuts))}.",
        )
    graph = torch.fx.Graph()
    copied: dict[torch.fx.Node, torch.fx.Node] = {node: graph.placeholder("activations")}
    behind = False
    for one in traced.graph.nodes:
        if (behind or one.op == "get_attr") and one is not node:
            if one.op == "output":
                graph.output(torch.fx.map_arg(one.args[0], copied.__getitem__))
            else:
                copied[one] = graph.node_copy(one, copied.__getitem__)
        behind = behind or one is node
    module = copy.deepcopy(torch.fx.GraphModule(network, graph)).eval()
    module.graph.eliminate_dead_code()
    module.recompile()
    module.delete_all_unused_submodules()
    return module.requires_grad_(requires_grad=False)


def _node(traced: Traced, name: str) -> torch.fx.Node:
    try:
        return traced.outputs[name]
    except KeyError:
        raise LayerError(
            where=f"layer '{name}'",
            expected=f"a layer of {type(traced.network).__name__}",
            found="no such name",
            remedy=f"Layers are {', '.join(list(traced.outputs)[:12])}, …",
        ) from None


def _nearest(names: list[str], name: str, cuts: list[str]) -> list[str]:
    """Return up to three cuts, nearest to `name` in execution order first."""
    place = names.index(name)
    return sorted(cuts, key=lambda cut: abs(names.index(cut) - place))[:3]
