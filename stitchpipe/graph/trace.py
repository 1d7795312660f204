"""A network as a graph in which every module's output has the module's own name.

Names are module paths (``layer1.0``); the second call of a module is ``layer1.0:1``. They do not depend on how
torch.fx numbers its nodes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import torch.fx
from torch import nn

from stitchpipe.errors import ExplainedError


class TraceError(ExplainedError, ValueError):
    """A network's forward pass cannot be turned into a graph."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced network: its graph, and which node is the output of which module call, in execution order."""

    network: nn.Module
    graph: torch.fx.Graph
    outputs: dict[str, torch.fx.Node]

    def live_after(self, node: torch.fx.Node) -> set[torch.fx.Node]:
        """Return the values, parameters aside, that are made up to `node` and used behind it."""
        made = set()
        for one in self.graph.nodes:
            if one.op != "get_attr":
                made.add(one)
            if one is node:
                break
        return {one for one in made if any(user not in made for user in one.users)}

    def is_cut(self, node: torch.fx.Node) -> bool:
        """Return whether `node` is the only value that crosses from the part before it to the part behind it."""
        return self.live_after(node) == {node}


class _ModuleTracer(torch.fx.Tracer):
    """Notes the node that each module call returns, also of modules that are traced through."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=())
        self.outputs: dict[str, torch.fx.Node] = {}

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        returned = super().call_module(m, forward, args, kwargs)
        if isinstance(returned, torch.fx.Proxy):
            path = self.path_of_module(m)
            calls = sum(name == path or name.startswith(f"{path}:") for name in self.outputs)
            self.outputs[path if calls == 0 else f"{path}:{calls}"] = returned.node
        return returned


_ONE_AT_A_TIME = threading.Lock()


def trace(network: nn.Module) -> Traced:
    """Trace a network in eval mode.

    While it traces, torch.fx replaces the call of every module in the process: no network may run meanwhile in
    another thread. Two traces wait for each other.

    Raises
    ------
    TraceError
        The forward pass depends on the values of its input.
    """
    tracer = _ModuleTracer()
    try:
        with _ONE_AT_A_TIME:
            graph = tracer.trace(network.eval())
    except (torch.fx.proxy.TraceError, TypeError, RuntimeError) as error:
        raise TraceError(
            where=type(network).__name__,
            expected="a forward pass that torch.fx can trace",
            found=str(error).splitlines()[0],
            remedy="Networks with data-dependent control flow cannot be split.",
        ) from None
    order = {node: position for position, node in enumerate(graph.nodes)}
    outputs = dict(sorted(tracer.outputs.items(), key=lambda item: order[item[1]]))
    return Traced(network, graph, outputs)
