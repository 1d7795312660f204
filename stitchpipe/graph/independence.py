"""Which values of a graph are the same for all images of one size: sizes, and what is made of them and of parameters.

Nobody has to hand them to the part of a network behind a cut, which makes them itself. Only sizes are taken from
tensors, and a tail is told those.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Graph, Node

SIZES: Final = frozenset({"shape", "ndim", "size", "dim", "numel"})
"""Attributes and methods of a tensor that say how large it is, whatever is in it."""

KINDS: Final = frozenset({"dtype", "device"})
"""Attributes that say of what kind it is."""

_RANDOM: Final = ("rand", "normal", "bernoulli", "multinomial", "dropout", "empty")
"""How functions begin that give other values each time."""

_MAKERS: Final = frozenset(
    {
        "zeros",
        "ones",
        "full",
        "arange",
        "linspace",
        "tensor",
        "cat",
        "stack",
        "meshgrid",
        "clone",
        "new_zeros",
        "zeros_like",
    }
)
"""Functions whose result shares no memory with what they are given."""

_IN_PLACE: Final = frozenset(
    {
        operator.setitem,
        operator.iadd,
        operator.isub,
        operator.imul,
        operator.itruediv,
        operator.ior,
        operator.iand,
    }
)


def asks_for_size(node: Node) -> bool:
    """Return whether a node asks a tensor for its size, or for its kind of numbers."""
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in SIZES | KINDS
    return node.op == "call_method" and node.target in SIZES


def independent_nodes(graph: Graph, network: nn.Module) -> frozenset[Node]:
    """Return the nodes whose values are the same for all images of one size, parameters among them.

    A value that anything works on in place is not counted among them, nor what it is a view of. Where in doubt a value
    is taken for one that depends on the images: then a cut may be refused, and never a wrong one allowed.
    """
    written: set[Node] = set()
    while True:
        independent = _independent(graph, written)
        more = _written(graph, network, independent)
        if more <= written:
            return frozenset(independent)
        written |= more


def _independent(graph: Graph, written: set[Node]) -> set[Node]:
    independent: set[Node] = set()
    for node in graph.nodes:
        if node in written or node.op in {"placeholder", "output"}:
            continue
        if node.op == "get_attr" or asks_for_size(node) or _follows(node, independent):
            independent.add(node)
    return independent


def _follows(node: Node, independent: set[Node]) -> bool:
    """Return whether a node makes nothing but what follows from such values."""
    return not called(node).startswith(_RANDOM) and all(
        given in independent for given in node.all_input_nodes
    )


def _written(graph: Graph, network: nn.Module, independent: set[Node]) -> set[Node]:
    """Return the nodes among some that are worked on in place, and those that they may be views of."""
    written: set[Node] = set()
    for node in graph.nodes:
        if not _works_in_place(node, network):
            continue
        target = node.all_input_nodes[0] if node.all_input_nodes else None
        while target is not None and target in independent and target not in written:
            written.add(target)
            if target.op == "get_attr":  # the same tensor, wherever the graph takes it from the network
                attribute = target.target
                written.update(
                    other for other in graph.nodes if other.op == "get_attr" and other.target == attribute
                )
            if called(target) in _MAKERS or asks_for_size(target):
                break
            target = target.all_input_nodes[0] if target.all_input_nodes else None
    return written


def _works_in_place(node: Node, network: nn.Module) -> bool:
    if node.target in _IN_PLACE or "out" in node.kwargs or node.kwargs.get("inplace"):
        return True
    name = called(node)
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(str(node.target)), "inplace", False))
    return node.op in {"call_function", "call_method"} and name.endswith("_") and not name.endswith("__")


def called(node: Node) -> str:
    """Return the name of the function, method or module that a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "function")
