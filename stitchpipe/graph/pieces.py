"""What a concatenation was put together from, which can be cut out of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.fx import Node


def pieces_of(node: Node) -> Iterator[tuple[Node, Node, int]]:
    """Yield what a node is the concatenation of, what it stands in, and along which axis; pieces of pieces too.

    Along the axis of the images nothing is cut out: how many there are is not known before.
    """
    if node.target not in {torch.cat, torch.concat}:
        return
    parts: Any = node.args[0] if node.args else node.kwargs.get("tensors")
    axis: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    if not isinstance(parts, list | tuple) or not isinstance(axis, int) or axis == 0:
        return
    for part in dict.fromkeys(parts):
        yield part, node, axis
        yield from pieces_of(part)


def place_of(piece: Node, whole: Node, axis: int, shape: Callable[[Node], torch.Size]) -> tuple[int, int]:
    """Return where a piece begins along the axis, and its length there; `shape` knows the shapes of values."""
    start = 0
    for part in whole.args[0] if whole.args else whole.kwargs["tensors"]:  # type: ignore[union-attr]
        length = shape(part)[axis]  # type: ignore[arg-type]
        if part is piece:
            return start, length
        start += length
    raise ValueError(f"{piece} is no piece of {whole}")


def cut_out(whole: Tensor, axis: int, start: int, length: int) -> Tensor:
    """Return a piece of a concatenation in memory of its own, because what follows may work in place on it."""
    return whole.narrow(axis, start, length).clone(memory_format=torch.contiguous_format)
