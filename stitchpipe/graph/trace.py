"""A network as a graph in which every module's output has the module's own name.

Names are module paths (``layer1.0``); the second call of a module is ``layer1.0:1``. The functions that a module's
forward pass calls follow its path: ``layer1.0.add``, ``layer1.0.add_1``. Neither depends on how torch.fx numbers its
nodes.
"""

from __future__ import annotations

import inspect
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch.fx
from torch import nn

from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.graph.independence import independent_nodes
from stitchpipe.graph.pieces import pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class TraceError(ExplainedError, ValueError):
    """A network's forward pass cannot be turned into a graph, or the network does not take the images."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced network: its graph, and which node is the output of which call, in execution order.

    `outputs` are those of modules, `functions` those of the functions inside them, `ends` the modules whose calls end
    with a node, whatever they return.
    """

    network: nn.Module
    graph: torch.fx.Graph
    outputs: Mapping[str, torch.fx.Node]
    functions: Mapping[str, torch.fx.Node] = field(default_factory=dict)
    ends: Mapping[torch.fx.Node, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> Mapping[str, torch.fx.Node]:
        """Return the nodes of all names, in execution order."""
        both = {**self.outputs, **self.functions}
        return dict(sorted(both.items(), key=lambda item: self._lives.position[item[1]]))

    @cached_property
    def names(self) -> Mapping[torch.fx.Node, tuple[str, ...]]:
        """Return the names of each node, innermost first."""
        names: dict[torch.fx.Node, tuple[str, ...]] = {}
        for name, node in self.nodes.items():
            names[node] = (*names.get(node, ()), name)
        return names

    @cached_property
    def independent(self) -> frozenset[torch.fx.Node]:
        """The nodes whose values are the same for all images of one size; parameters are among them."""
        return independent_nodes(self.graph, self.network)

    def crossing(self, node: torch.fx.Node) -> int:
        """Return how many values are made up to `node` and used behind it.

        Those do not count that the part behind can make itself: what is the same for all images, and the pieces that
        `node` is the concatenation of.
        """
        lives = self._lives
        position = lives.position[node]
        pieces = {piece for piece, *_ in pieces_of(node) if lives.last.get(piece, -1) > position}
        return lives.crossing[position] - len(pieces - self.independent)

    def needed(self, node: torch.fx.Node) -> tuple[torch.fx.Node, ...]:
        """Return the values made up to `node` that what is behind it cannot make itself, in order; see `crossing`.

        Pieces of a concatenation that is one of them are left out; a tensor of the network's own that was worked on in
        place is among them, and is no layer.
        """
        lives = self._lives
        position = lives.position[node]
        before = [
            other
            for other, number in lives.position.items()
            if number <= position and other not in self.independent
        ]
        alive = [other for other in before if lives.last.get(other, -1) > position]
        if len(alive) != lives.crossing[position]:  # something written into a tensor of the network's own
            alive += [other for other in before if other.op == "get_attr" and other not in alive]
        pieces = {piece for whole in alive for piece, *_ in pieces_of(whole)}
        return tuple(other for other in alive if other not in pieces)

    def is_cut(self, node: torch.fx.Node) -> bool:
        """Return whether `node` is the only value that crosses from the part before it to the part behind it."""
        return node not in self.independent and self.is_used(node) and self.crossing(node) == 1

    def is_used(self, node: torch.fx.Node) -> bool:
        """Return whether anything behind `node` reads its value."""
        return bool(node.users)

    def beside(self, node: torch.fx.Node) -> str:
        """Return the name of the earliest other value that crosses at `node`; empty where there is none."""
        position, last = self._lives.position, self._lives.last
        without = {*self.independent, *(piece for piece, *_ in pieces_of(node))}
        for other in self.graph.nodes:
            if position[other] >= position[node]:
                break
            if other not in without and last.get(other, -1) > position[node]:
                return next(iter(self.names.get(other, ())), other.name)
        return ""

    @cached_property
    def _lives(self) -> _Lives:
        return _lives(self.graph, self.independent)


@dataclass(frozen=True, slots=True)
class _Lives:
    """Where each node stands and is last used, and how many values are live behind each position."""

    position: dict[torch.fx.Node, int]
    last: dict[torch.fx.Node, int]
    crossing: list[int]


def _lives(graph: torch.fx.Graph, independent: frozenset[torch.fx.Node]) -> _Lives:
    """Count live values: a value lives from its node to its last user.

    Each value adds one where it is made and takes one away where it is last used; the running sum is the count.
    """
    position = {node: number for number, node in enumerate(graph.nodes)}
    last = {node: max(position[user] for user in node.users) for node in position if node.users}
    change = [0] * (len(position) + 1)
    # A tensor of the network's own that is worked on in place carries what was written from the first time that it is
    # taken to the last time that it is read, under whatever node.
    written: dict[object, list[torch.fx.Node]] = {}
    for node in position:
        if node.op == "get_attr" and node in last and node not in independent:
            written.setdefault(node.target, []).append(node)
    for nodes in written.values():
        change[position[nodes[0]]] += 1
        change[max(last[node] for node in nodes)] -= 1
    for node, number in position.items():
        if node in last and node not in independent and node.op != "get_attr":
            change[number] += 1
            # A value is still needed up to its last user, and no longer counts at that position: what
            # crosses there is the user's own value.
            change[last[node]] -= 1
    crossing, live = [], 0
    for step in change:
        live += step
        crossing.append(live)
    return _Lives(position, last, crossing)


class _NamingTracer(torch.fx.Tracer):
    """Notes the node that each module call returns, also of modules that are traced through, and each function's.

    While it traces, torch.fx replaces the call and the attribute access of every module in the process. What
    other threads do meanwhile is passed on untouched.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(autowrap_functions=())
        self.outputs: dict[str, torch.fx.Node] = {}
        self.functions: dict[str, torch.fx.Node] = {}
        self.ends: dict[torch.fx.Node, list[str]] = {}
        self._paths = {path for path, _ in network.named_modules()}
        self._thread = threading.get_ident()

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        returned = super().call_module(m, forward, args, kwargs)
        path = self.path_of_module(m)
        self.ends.setdefault(next(iter(reversed(self.graph.nodes))), []).append(path)
        # A module may return a tuple or a record, which is no single node and so no layer.
        if isinstance(returned, torch.fx.Proxy):
            name, calls = path, 0
            while name in self.outputs:
                calls += 1
                name = f"{path}:{calls}"
            self.outputs[name] = returned.node
        return returned

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> torch.fx.Node:
        node = super().create_node(kind, target, *args, **kwargs)
        if kind in {"call_function", "call_method"}:
            called = target if isinstance(target, str) else getattr(target, "__name__", "function")
            path = self.scope.module_path
            stem = f"{path}.{called}" if path else called
            name, calls = stem, 0
            while name in self.functions or name in self._paths:
                calls += 1
                name = f"{stem}_{calls}"
            self.functions[name] = node
        return node

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


_ONE_AT_A_TIME = threading.Lock()
"""torch.fx patches `torch.nn.Module` while it traces; two tracers at once would undo each other's patches."""


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into eval mode, and every module of it back into its own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def trace(network: nn.Module) -> Traced:
    """Trace a network as it is in eval mode; its mode is what it was afterwards.

    Safe while other threads run networks, this one included. Two traces wait for each other.

    Raises
    ------
    TraceError
        The forward pass depends on the values of its input, or does what torch.fx cannot follow.
    """
    with _ONE_AT_A_TIME, in_eval_mode(network):
        tracer = _NamingTracer(network)
        try:
            graph = tracer.trace(network, _defaults(network))
        except Exception as error:
            raise TraceError(
                where=type(network).__name__,
                expected="a forward pass that torch.fx can trace",
                found=first_line(error),
                remedy="Its layers can be had by forward hooks.",
            ) from error
    # The tracer notes a module when its call returns, an inner one before the outer one. Layers are listed
    # in the order of the graph's nodes.
    order = {node: position for position, node in enumerate(graph.nodes)}
    outputs = dict(sorted(tracer.outputs.items(), key=lambda item: order[item[1]]))
    # The call of the network itself has the empty path; its output is the logits and no layer.
    outputs.pop("", None)
    functions = {name: node for name, node in tracer.functions.items() if node in order}
    return Traced(network, graph, outputs, functions, tracer.ends)


def _defaults(network: nn.Module) -> dict[str, Any] | None:
    """Return the forward pass's further arguments: constants, where torch.fx would take them for unknown inputs."""
    parameters = inspect.signature(network.forward).parameters.values()
    plain = (bool, int, float, str, type(None))
    return {
        parameter.name: parameter.default for parameter in parameters if isinstance(parameter.default, plain)
    } or None
