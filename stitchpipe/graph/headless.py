"""What a tail without a graph need not run: modules that are done before its layer's value is made.

Nobody needs what they return, because the layer is a cut; the network's own steps between modules still want values of
their shapes.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from stitchpipe.graph.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn

IMAGES: ContextVar[Tensor] = ContextVar("IMAGES")
"""The images that a headless network is run on, set by who runs it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a tensor that goes with one image, and by how much each axis grows with another one."""

    first: tuple[int, ...]
    growth: tuple[int, ...]
    dtype: torch.dtype


Output = Shape | tuple["Output", ...] | list["Output"] | None


def leave_out_head(network: nn.Module, name: str, blank: Tensor) -> None:
    """Let the modules of `network` that are done when the layer `name` is return zeros and do nothing.

    `blank` is one image. Modules that are called more than once, or return something else than tensors, work on; all
    keep their weights, which a network may ask for. Whether it still does what it did is for the caller to see.
    """
    one, two = (Record.of(network, blank.expand(count, *blank.shape[1:]).clone()) for count in (1, 2))
    for path in one.replaceable() & two.replaceable():
        if one.done[path] <= one.done[name]:
            output = _output(one.outputs[path], two.outputs[path])
            network.get_submodule(path).forward = partial(_zeros_whatever_is_given, output)


def _output(one: Any, two: Any) -> Output:
    """Return what an output is like, of which examples for one and for two images are given.

    Raises
    ------
    ValueError
        They are not alike.
    """
    if one is None and two is None:
        return None
    if isinstance(one, Tensor) and isinstance(two, Tensor) and one.ndim == two.ndim:
        growth = tuple(after - before for before, after in zip(one.shape, two.shape, strict=True))
        return Shape(tuple(one.shape), growth, one.dtype)
    if type(one) in {tuple, list} and type(one) is type(two) and len(one) == len(two):
        parts: Iterator[Output] = (_output(*pair) for pair in zip(one, two, strict=True))
        return type(one)(parts)  # type: ignore[no-any-return]
    raise ValueError(f"{type(one).__name__} for one image and {type(two).__name__} for two")


def _zeros_whatever_is_given(output: Output, *_: Any, **__: Any) -> Any:
    return _zeros(output, IMAGES.get())


def _zeros(output: Output, images: Tensor) -> Any:
    if output is None:
        return None
    if isinstance(output, Shape):
        shape = [
            first + (len(images) - 1) * growth
            for first, growth in zip(output.first, output.growth, strict=True)
        ]
        return images.new_zeros(shape, dtype=output.dtype)
    return type(output)(_zeros(part, images) for part in output)
