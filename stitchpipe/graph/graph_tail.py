"""The graph of what lies behind a cut: nodes are copied, and what the part before it is asked for is made anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stitchpipe.graph.independence import KINDS, asks_for_size
from stitchpipe.graph.layer_info import LayerError
from stitchpipe.graph.pieces import cut_out, pieces_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch.fx import Graph, Node

    from stitchpipe.graph.trace import Traced

    Values = Mapping[Node, Any]


@dataclass(frozen=True, eq=False)
class Example:
    """What the nodes of a graph gave for one image, and for two: of tensors their shapes, otherwise the value."""

    single: Values
    double: Values

    def shape(self, node: Node) -> torch.Size:
        """Return the shape of a value, of one image."""
        size: torch.Size = self.single[node]
        return size


class TailGraph:
    """Puts together the graph of what lies behind a node, or behind several.

    Parameters
    ----------
    traced
        The whole network.
    entries
        The nodes of the cut, in the order in which the tail takes their activations, and what is done first to each:
        their layout, and a copy.
    example
        Gives the values of an example; None where there is none.
    """

    def __init__(
        self,
        traced: Traced,
        entries: Mapping[Node, Callable[..., Any]],
        example: Callable[[], Example] | None,
    ) -> None:
        self.graph = torch.fx.Graph()
        self.knows_sizes = False
        self._traced, self._nodes, self._given = traced, tuple(entries), example
        self._example: Example | None = None
        # All activations come first, as a graph has it, and then what is done to them.
        given = [self.graph.placeholder(_argument(number)) for number in range(len(entries))]
        self._copied = {
            node: self.graph.call_function(entry, (value,))
            for value, (node, entry) in zip(given, entries.items(), strict=True)
        }
        self._pieces = {
            piece: (whole, axis)
            for node in entries
            for piece, whole, axis in pieces_of(node)
            if piece not in entries
        }

    def build(self, through: Sequence[Node] | None) -> Graph:
        """Return the graph from activations to the answer; with `through` to a tuple of these values and the answer.

        Raises
        ------
        LayerError
            Sizes of images are asked for behind the cut, and there is no example that tells them.
        """
        # The nodes of a graph stand in the order in which they run, so what lies behind the cut is what
        # follows its node.
        nodes = list(self._traced.graph.nodes)
        kept: dict[Node, Node] = {}
        for later in nodes[max(map(nodes.index, self._nodes)) + 1 :]:
            if later.op == "output":
                answer = torch.fx.map_arg(later.args[0], self._behind)
                self.graph.output(
                    answer if through is None else (*(kept[layer] for layer in through), answer)
                )
            elif later.op != "get_attr":
                # Copied even if nothing uses its value: an in-place operation does its work all the same.
                self._copied[later] = self.graph.node_copy(later, self._behind)
                if later in (through or ()):
                    kept[later] = self.graph.call_function(torch.clone, (self._copied[later],))
        return self.graph

    def _behind(self, node: Node) -> Node:
        """Return the tail's own node for one of the network: copied, or for what is made before the cut, made anew."""
        if node not in self._copied:
            self._copied[node] = self._made(node)
        return self._copied[node]

    def _made(self, node: Node) -> Node:
        if node in self._pieces:
            whole, axis = self._pieces[node]
            start, length = place_of(node, whole, axis, self._known().shape)
            return self.graph.call_function(cut_out, (self._behind(whole), axis, start, length))
        if asks_for_size(node) and node.all_input_nodes[0] not in self._traced.independent:
            return self._size(node)
        # A parameter, or what follows from parameters and sizes.
        return self.graph.node_copy(node, self._behind)

    def _size(self, node: Node) -> Node:
        if node.target is getattr and node.args[1] in KINDS:
            return self.graph.call_function(getattr, (self._first, node.args[1]))
        known = self._known()
        first, growth = known.single[node], _growth(known.single[node], known.double[node])
        plain = tuple(first) if isinstance(first, tuple) else first
        return self.graph.call_function(size_for, (self._first, plain, growth))

    @property
    def _first(self) -> Node:
        """Return the tail's own node for the first of its activations."""
        return self._copied[self._nodes[0]]

    def _known(self) -> Example:
        """Return the example, and from now on refuse activations of images of another size."""
        if self._example is not None:
            return self._example
        if self._given is None:
            raise LayerError(
                where=f"the tail behind '{self._traced.names[self._nodes[0]][0]}'",
                expected="an image as `example`, because the rest of the network asks for sizes before it",
                found="none",
                remedy="Hand over an image of the size that the activations were made from.",
            )
        self._example, self.knows_sizes = self._given(), True
        for node in self._nodes:
            shape = tuple(self._example.shape(node)[1:])
            self._copied[node] = self.graph.call_function(of_shape, (self._copied[node], shape))
        return self._example


def _argument(number: int) -> str:
    return f"activations_{number}" if number else "activations"


def size_for(activations: Tensor, first: Any, growth: Any) -> Any:
    """Return a size for as many images as there are activations, from that for one and what each further one adds."""
    more = len(activations) - 1
    if isinstance(first, tuple):
        return torch.Size(size + more * added for size, added in zip(first, growth, strict=True))
    return first + more * growth


def of_shape(activations: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return activations, which must be of images of the example's size."""
    if tuple(activations.shape[1:]) == tuple(shape):
        return activations
    raise LayerError(
        where="activations behind a cut",
        expected=f"those of images of one size, of shape {tuple(shape)}",
        found=f"shape {tuple(activations.shape[1:])}",
        remedy="Make the tail with an example of these images.",
    )


def _growth(single: Any, double: Any) -> Any:
    if isinstance(single, tuple):
        return tuple(more - one for one, more in zip(single, double, strict=True))
    return double - single


def without_axes(activations: Tensor) -> Tensor:
    """Copy what cannot be ``(n, H, W, C)``; refuse what could be, because nothing told which axis is which."""
    if activations.ndim != 4:
        return torch.clone(activations)
    raise LayerError(
        where=f"activations of shape {tuple(activations.shape)}",
        expected="a tail that knows whether its network holds channels first or last",
        found="one that was made without an example, of a network that took none of the usual image sizes",
        remedy="Hand an image to `tail` as `example`.",
    )
