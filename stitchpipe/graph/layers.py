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
from stitchpipe.graph.trace import TraceError, first_line, in_eval_mode, trace
from stitchpipe.rows import grid_of, token_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.resizing import Grid


class LayerError(ExplainedError, ValueError):
    """No such layer, or a layer that cannot be used that way."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer: the output of a module call.

    Attributes
    ----------
    name
        The module's path; ``path:1`` for its second call.
    shape
        Of one sample.
    is_cut
        Whether this value alone crosses to the rest of the network, so that the rest can run from it.
    tokens
        The grid of ``(T, D)`` where its patches are not those of a square.
    """

    name: str
    shape: tuple[int, ...]
    is_cut: bool
    tokens: Grid | None = None

    @property
    def grid(self) -> Grid:
        """Return the grid of its positions."""
        return grid_of(self.shape, self.tokens)


class _Shapes(torch.fx.Interpreter):
    """Runs a graph once and keeps the shapes of its values."""

    def __init__(self, root: nn.Module, graph: torch.fx.Graph) -> None:
        super().__init__(torch.fx.GraphModule(root, graph))
        self.extra_traceback = False
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape)
        return value


@torch.inference_mode()
def layers(network: nn.Module, example: Tensor) -> tuple[LayerInfo, ...]:
    """Return the layers of `network` in execution order; `example` is a batch of one image or more.

    Only outputs with one entry per image and one to three dimensions besides are layers: windows cut out of
    images, tuples and parameters are not.

    Raises
    ------
    TraceError
        The network cannot be traced, or does not take such images.

    Notes
    -----
    One forward pass in eval mode; the network's own mode is what it was afterwards. Counting live values is
    linear in the graph's nodes and uses.
    """
    traced = trace(network)
    run = _Shapes(network, traced.graph)
    images = torch.cat([example, example])  # two images at least: a leading 1 could be anything
    with in_eval_mode(network):
        try:
            run.run(images)
        except Exception as error:
            raise TraceError(
                where=type(network).__name__,
                expected=f"a network that takes images of shape {tuple(example.shape[1:])}",
                found=first_line(error),
                remedy="Give the architecture the options, or the images the size, that fit each other.",
            ) from error
    found = []
    for name, node in traced.outputs.items():
        shape = run.shapes.get(node.name, ())
        if len(shape) in {2, 3, 4} and shape[0] == len(images):
            tokens = token_grid(shape[1], (images.shape[2], images.shape[3])) if len(shape) == 3 else None
            found.append(LayerInfo(name, shape[1:], traced.is_cut(node), tokens))
    return tuple(found)


def select(known: Sequence[LayerInfo], globs: Sequence[str]) -> list[str]:
    """Return the names that match any of `globs`, in the network's order.

    As in a shell, except that ``*`` and ``?`` also match dots: ``layer?.?`` is every block of a ResNet,
    ``layer*`` also what is inside them.

    Raises
    ------
    LayerError
        A glob matches nothing; the nearest names are given.
    """
    names = [info.name for info in known]
    chosen: set[str] = set()
    for glob in globs:
        hits = [name for name in names if fnmatch.fnmatchcase(name, glob)]
        if not hits:
            close = difflib.get_close_matches(glob, names, n=3, cutoff=0.4)
            raise LayerError(
                where=f"layer glob '{glob}'",
                expected="at least one layer of the network",
                found="none",
                remedy=f"Did you mean {' or '.join(close)}?" if close else f"Layers are {listed(names)}.",
            )
        chosen.update(hits)
    return [name for name in names if name in chosen]


def listed(names: Sequence[str]) -> str:
    """Return the first dozen of some names, for a message."""
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
