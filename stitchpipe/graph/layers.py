"""The layers of a network by name, with shapes, and which of them are cuts."""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from stitchpipe.errors import ExplainedError
from stitchpipe.graph.trace import trace

if TYPE_CHECKING:
    from collections.abc import Sequence


class LayerError(ExplainedError, ValueError):
    """No such layer, or a layer that cannot be used that way."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer: the output of a module call.

    Attributes
    ----------
    shape
        Of one sample.
    is_cut
        Whether this value alone crosses to the rest of the network, so that the rest can run from it.
    """

    name: str
    shape: tuple[int, ...]
    is_cut: bool


class _Shapes(torch.fx.Interpreter):
    """Runs a graph once and keeps the shapes of its values."""

    def __init__(self, root: nn.Module, graph: torch.fx.Graph) -> None:
        super().__init__(torch.fx.GraphModule(root, graph))
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape)
        return value


@torch.inference_mode()
def layers(network: nn.Module, example: Tensor) -> tuple[LayerInfo, ...]:
    """Return the layers of `network` in execution order; `example` is a batch of one image.

    Raises
    ------
    TraceError
        The network cannot be traced.

    Notes
    -----
    One forward pass; liveness O(nodes²) in the worst case.
    """
    traced = trace(network)
    run = _Shapes(network, traced.graph)
    run.run(example)
    return tuple(
        LayerInfo(name, run.shapes[node.name][1:], traced.is_cut(node))
        for name, node in traced.outputs.items()
        if len(run.shapes.get(node.name, ())) in {2, 3, 4}
    )


def select(known: Sequence[LayerInfo], globs: Sequence[str]) -> list[str]:
    """Return the names that match any of `globs`, in the network's order.

    Raises
    ------
    LayerError
        A glob matches nothing; the nearest names are given.
    """
    names = [info.name for info in known]
    chosen: set[str] = set()
    for glob in globs:
        hits = fnmatch.filter(names, glob)
        if not hits:
            close = difflib.get_close_matches(glob, names, n=3, cutoff=0.4)
            raise LayerError(
                where=f"layer glob '{glob}'",
                expected="at least one layer of the network",
                found="none",
                remedy=f"Did you mean {' or '.join(close)}?"
                if close
                else f"Layers are {', '.join(names[:12])}, …",
            )
        chosen.update(hits)
    return [name for name in names if name in chosen]
