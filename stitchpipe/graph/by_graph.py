"""A network that torch.fx has traced: run node by node, cut by liveness."""

from __future__ import annotations

import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from stitchpipe.graph.graph_tail import Example, TailGraph
from stitchpipe.graph.layer_info import PENULTIMATE, LayerError, not_behind, suggestion, without_linear
from stitchpipe.graph.layout import Seen, channels_back, channels_first, tells
from stitchpipe.graph.trace import trace

AGREED = 1e-4
"""Of a tail's answers from the network's own, relative to the largest: kernels round otherwise."""

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class TracedNetwork:
    """Runs, observes and cuts a network through its graph; the network's own modules do the work."""

    by_hooks = ""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._traced = trace(network)

    def demand(self, name: str) -> None:
        """Refuse a name that no layer has, and name the nearest."""
        self._node(name)

    def is_function(self, name: str) -> bool:
        """Return whether a layer is a function's output."""
        return name in self._traced.functions

    def run(self, images: Tensor, names: Sequence[str], seen: Callable[[str, Any], None]) -> Any:
        """Run the network; call `seen` with the name and the value of each wanted layer as it is made."""
        # One node may have several names, for a module's output and for the block that ends with it.
        wanted: dict[torch.fx.Node, list[str]] = {}
        for name in names:
            wanted.setdefault(self._node(name), []).append(name)

        def note(node: torch.fx.Node, value: Any) -> None:
            for name in wanted.get(node, ()):
                seen(name, value)

        return _Run(self._module, note).run(images)

    def observe(self, images: Tensor) -> Seen:
        """Run the network; return the shapes of all layers and what its operations tell about their axes."""
        seen = Seen()

        def note(node: torch.fx.Node, value: Any) -> None:
            names = self._traced.names.get(node, ())
            if isinstance(value, Tensor):
                seen.shapes.update((name, tuple(value.shape)) for name in names)
            last = tells(self._operation(node), node.args)
            if last is not None:
                # The operation says it of what it makes, and, where nothing else did, of what it takes.
                seen.on_last_axis.update(dict.fromkeys(names, last))
                first = node.args[0] if node.args else None
                inputs = self._traced.names.get(first, ()) if isinstance(first, torch.fx.Node) else ()
                for name in inputs:
                    seen.on_last_axis.setdefault(name, last)

        seen.logits = _Run(self._module, note).run(images)
        return seen

    def why_no_cut(self, names: Sequence[str], images: Tensor) -> dict[str, str]:  # noqa: ARG002 - one protocol
        """Return why the rest of the network cannot run from a layer alone; empty where it can."""
        return {name: self._why(name) for name in names}

    def tail(
        self,
        name: str,
        *,
        last: bool | None,
        images: Tensor | None,
        through: Sequence[str] | None = None,
    ) -> nn.Module:
        """Return what lies behind a cut; `last` says whether it takes ``(H, W, C)``, None that nobody knows."""
        node = self._node(name)
        if self._why(name):
            raise self._inside(name, node)
        # Operations behind the cut may work in place: they get a copy, so that stored activations stay as they are.
        entries: dict[bool | None, Callable[..., Any]] = {True: channels_back, False: torch.clone}
        example = None if images is None else partial(self._example, images)
        tail_graph = TailGraph(self._traced, node, entries.get(last, _without_axes), example)
        nodes = list(self._traced.graph.nodes)
        behind = nodes[nodes.index(node) + 1 :]
        wanted = None if through is None else [self._behind(layer, behind, name) for layer in through]
        graph = tail_graph.build(wanted)
        # The graph module refers to the network's own modules. The deep copy is of those that the tail
        # uses, so that freezing them leaves the network as it was.
        module = copy.deepcopy(
            torch.fx.GraphModule(self.network, graph, f"{type(self.network).__name__}Tail")
        )
        module.eval().requires_grad_(requires_grad=False)
        if images is not None and tail_graph.knows_sizes:
            self._demand_same(module, name, images, channels_first if last else torch.clone)
        return module

    def _example(self, images: Tensor) -> Example:
        """Return what all nodes give for one image and for two."""
        single, double = dict[torch.fx.Node, Any](), dict[torch.fx.Node, Any]()
        for count, values in ((1, single), (2, double)):

            def note(node: torch.fx.Node, value: Any, values: dict[torch.fx.Node, Any] = values) -> None:
                values[node] = value.shape if isinstance(value, Tensor) else value

            _Run(self._module, note).run(images[:1].expand(count, *images.shape[1:]).clone())
        return Example(single, double)

    def _demand_same(
        self, tail: nn.Module, name: str, images: Tensor, stored: Callable[[Tensor], Tensor]
    ) -> None:
        """Refuse a tail that was told sizes where it does not give the network's answers, tried on three of noise."""
        noise = torch.rand((3, *images.shape[1:]), generator=torch.Generator().manual_seed(0)).to(images)
        values: dict[str, Tensor] = {}
        whole = self.run(noise, [name], lambda layer, value: values.update({layer: value.clone()}))
        with torch.no_grad():
            answer = tail(stored(values[name]))
        answer = answer[-1] if isinstance(answer, tuple) else answer
        if not torch.allclose(answer, whole, rtol=AGREED, atol=AGREED * float(whole.abs().max())):
            raise LayerError(
                where=f"layer '{name}'",
                expected="a layer whose output is all that the rest of the network needs",
                found="other answers behind it than the network's own",
                remedy="Take another cut.",
            )

    @property
    def may_hold_channels_last(self) -> bool:
        """Return whether any operation could work on the last of four axes."""
        return any(tells(self._operation(node)) for node in self._traced.graph.nodes)

    @cached_property
    def _module(self) -> torch.fx.GraphModule:
        return torch.fx.GraphModule(self.network, self._traced.graph)

    def _operation(self, node: torch.fx.Node) -> object:
        if node.op == "call_module":
            return self.network.get_submodule(str(node.target))
        return node.target if node.op == "call_function" else None

    def _node(self, name: str) -> torch.fx.Node:
        try:
            return self._traced.nodes[name]
        except KeyError:
            raise LayerError(
                where=f"layer '{name}'",
                expected=f"a layer of {type(self.network).__name__}",
                found="no such name",
                remedy=suggestion(name, list(self._traced.outputs)),
            ) from None

    def _behind(self, layer: str, behind: Sequence[torch.fx.Node], name: str) -> torch.fx.Node:
        """Return the node of a layer that a tail runs through."""
        node = self._penultimate() if layer == PENULTIMATE else self._node(layer)
        if node not in behind:
            raise not_behind(layer, name)
        return node

    def _penultimate(self) -> torch.fx.Node:
        for node in reversed(self._traced.graph.nodes):
            features = node.args[0] if node.args else None
            if isinstance(self._operation(node), nn.Linear) and isinstance(features, torch.fx.Node):
                return features
        raise without_linear(self.network)

    def _why(self, name: str) -> str:
        node, traced = self._node(name), self._traced
        if node in traced.independent:
            return "the same for every image"
        if not traced.is_used(node):
            return "nothing behind it uses its value"
        if traced.is_cut(node):
            return ""
        # The layer's own value is one of those that cross.
        others = traced.crossing(node) - 1
        more = f" and {others - 1} other{'s' * (others > 2)} cross" if others > 1 else " crosses"
        return f"{traced.beside(node)}{more} beside it"

    def _inside(self, name: str, node: torch.fx.Node) -> LayerError:
        """Return the error that says why a layer is no cut, and names up to three that are, nearest first."""
        traced = self._traced
        found = f"{traced.crossing(node)} values that cross there, as inside a residual"
        if not traced.is_used(node):
            found = "a value that nothing behind it uses"
        # The distance between two layers is counted in nodes of the graph.
        position = {other: number for number, other in enumerate(traced.graph.nodes)}
        cuts = [cut for cut, other in traced.outputs.items() if traced.is_cut(other)]
        near = sorted(cuts, key=lambda cut: abs(position[traced.outputs[cut]] - position[node]))[:3]
        return LayerError(
            where=f"layer '{name}'",
            expected="a layer whose output is all that the rest of the network needs",
            found=found,
            remedy=f"Cuts near it: {', '.join(near)}." if near else "This network has no cut.",
        )


class _Run(torch.fx.Interpreter):
    """One run of a graph that shows each value as it is made."""

    def __init__(self, module: torch.fx.GraphModule, note: Callable[[torch.fx.Node, Any], None]) -> None:
        super().__init__(module)
        # A network that refuses an image is expected here, and torch.fx would add its own account of the
        # node to the error.
        self.extra_traceback = False
        self._note = note

    def run_node(self, n: torch.fx.Node) -> Any:
        """Run one node and show its value."""
        value = super().run_node(n)
        self._note(n, value)
        return value


def _without_axes(activations: Tensor) -> Tensor:
    """Copy what cannot be ``(n, H, W, C)``; refuse what could be, because nothing told which axis is which."""
    if activations.ndim != 4:
        return torch.clone(activations)
    raise LayerError(
        where=f"activations of shape {tuple(activations.shape)}",
        expected="a tail that knows whether its network holds channels first or last",
        found="one that was made without an example, of a network that took none of the usual image sizes",
        remedy="Hand an image to `tail` as `example`.",
    )
