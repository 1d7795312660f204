"""A network that torch.fx has traced: run node by node, cut by liveness."""

from __future__ import annotations

import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from stitchpipe.graph.block_ends import block_ends
from stitchpipe.graph.graph_tail import Example, TailGraph, without_axes
from stitchpipe.graph.joint_cuts import (
    Candidate,
    joint_cuts,
    joint_name,
    near_cuts,
    nearest,
    no_joint_cut,
)
from stitchpipe.graph.layer_info import (
    PENULTIMATE,
    LayerError,
    listed,
    not_behind,
    suggestion,
    without_linear,
)
from stitchpipe.graph.layout import Seen, channels_back, channels_first, tells
from stitchpipe.graph.trace import trace

AGREED = 1e-4
"""Of a tail's answers from the network's own, relative to the largest: kernels round otherwise."""

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


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
            raise self._inside(name, node, images)
        return self._tail({name: last}, images, through)

    def is_layer(self, name: str) -> bool:
        """Return whether a layer has this name."""
        return name in self._traced.nodes

    def joint_candidates(self, names: Sequence[str], images: Tensor) -> list[Candidate]:  # noqa: ARG002 - one protocol
        """Return where blocks and branches end and several of the layers `names` are all that is needed behind."""
        return block_ends(self._traced, frozenset(names))

    def joint_trial(
        self,
        names: Sequence[str],  # noqa: ARG002
        images: Tensor,  # noqa: ARG002
    ) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Return what says which members of a candidate are a joint cut: all, as the graph has said already."""
        return lambda members: members

    def joint_tail(
        self, last: Mapping[str, bool], *, images: Tensor, through: Sequence[str] | None = None
    ) -> nn.Module:
        """Return what lies behind a joint cut; `last` says of each of its layers whether it takes ``(H, W, C)``."""
        nodes = {name: self._node(name) for name in last}
        needed = self._traced.needed(max(nodes.values(), key=list(self._traced.graph.nodes).index))
        taken = list(nodes.values())
        idle = [
            name for number, name in enumerate(nodes) if taken[number] not in {*needed} - {*taken[:number]}
        ]
        beside = [node for node in needed if node not in taken]
        if idle or beside:
            crossing = [next(reversed(self._traced.names.get(node, (node.name,)))) for node in beside]
            found = f"{listed(crossing)} beside them" if beside else f"{listed(idle)}, which nothing needs"
            raise no_joint_cut(tuple(last), found, self._near(list(last)[-1], images))
        return self._tail(last, images, through)

    def _tail(
        self, last: Mapping[str, bool | None], images: Tensor | None, through: Sequence[str] | None
    ) -> nn.Module:
        """Return what lies behind one layer or several, which are known to be a cut."""
        # Operations behind the cut may work in place: they get a copy, so that stored activations stay as they are.
        entries: dict[bool | None, Callable[..., Any]] = {True: channels_back, False: torch.clone}
        example = None if images is None else partial(self._example, images)
        given = {self._node(name): entries.get(is_last, without_axes) for name, is_last in last.items()}
        tail_graph = TailGraph(self._traced, given, example)
        nodes = list(self._traced.graph.nodes)
        behind = nodes[max(map(nodes.index, given)) + 1 :]
        name = joint_name(tuple(last))
        wanted = None if through is None else [self._behind(layer, behind, name) for layer in through]
        graph = tail_graph.build(wanted)
        # The graph module refers to the network's own modules. The deep copy is of those that the tail
        # uses, so that freezing them leaves the network as it was.
        module = copy.deepcopy(
            torch.fx.GraphModule(self.network, graph, f"{type(self.network).__name__}Tail")
        )
        module.eval().requires_grad_(requires_grad=False)
        # Values of a joint cut may share memory, and operations behind it may work on them in place.
        if images is not None and (tail_graph.knows_sizes or len(last) > 1):
            self._demand_same(module, last, images)
        return module

    def _example(self, images: Tensor) -> Example:
        """Return what all nodes give for one image and for two."""
        single, double = dict[torch.fx.Node, Any](), dict[torch.fx.Node, Any]()
        for count, values in ((1, single), (2, double)):

            def note(node: torch.fx.Node, value: Any, values: dict[torch.fx.Node, Any] = values) -> None:
                values[node] = value.shape if isinstance(value, Tensor) else value

            _Run(self._module, note).run(images[:1].expand(count, *images.shape[1:]).clone())
        return Example(single, double)

    def _demand_same(self, tail: nn.Module, last: Mapping[str, bool | None], images: Tensor) -> None:
        """Refuse a tail that was told sizes where it does not give the network's answers, tried on three of noise."""
        noise = torch.rand((3, *images.shape[1:]), generator=torch.Generator().manual_seed(0)).to(images)
        values: dict[str, Tensor] = {}
        whole = self.run(noise, list(last), lambda layer, value: values.update({layer: value.clone()}))
        with torch.no_grad():
            answer = tail(
                *(channels_first(values[name]) if is_last else values[name] for name, is_last in last.items())
            )
        answer = answer[-1] if isinstance(answer, tuple) else answer
        if not torch.allclose(answer, whole, rtol=AGREED, atol=AGREED * float(whole.abs().max())):
            raise LayerError(
                where=f"layer '{joint_name(tuple(last))}'",
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

    def _inside(self, name: str, node: torch.fx.Node, images: Tensor | None) -> LayerError:
        """Return the error that says why a layer is no cut, and names up to three that are, nearest first."""
        found = f"{self._traced.crossing(node)} values that cross there, as inside a residual"
        if not self._traced.is_used(node):
            found = "a value that nothing behind it uses"
        return LayerError(
            where=f"layer '{name}'",
            expected="a layer whose output is all that the rest of the network needs",
            found=found,
            remedy=self._near(name, images),
        )

    def _near(self, name: str, images: Tensor | None) -> str:
        """Return up to three cuts near a layer, and a joint cut where the network has one, as a remedy."""
        traced = self._traced
        # The distance between two layers is counted in nodes of the graph.
        position = {other: number for number, other in enumerate(traced.graph.nodes)}
        at = position[self._node(name)]
        cuts = [cut for cut, other in traced.outputs.items() if traced.is_cut(other)]
        near = sorted(cuts, key=lambda cut: abs(position[traced.outputs[cut]] - at))[:3]
        return near_cuts(near, self._joint_near(name, images))

    def _joint_near(self, name: str, images: Tensor | None) -> tuple[str, ...] | None:
        """Return the nearest joint cut; None where there is none, or no image to tell layers from other values."""
        if images is None:
            return None
        shapes = self.observe(torch.cat([images[:1], images[:1]])).of_layers(2)
        return nearest(
            joint_cuts(self, {layer: not self._why(layer) for layer in shapes}, images), list(shapes), name
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
