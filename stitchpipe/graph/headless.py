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

from stitchpipe.graph.hooks import is_plain
from stitchpipe.graph.recorded_run import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


@dataclass(frozen=True, slots=True)
class Plain:
    """What holds no tensor, and is the same for any number of images."""

    value: Any


Output = Shape | Plain | tuple["Output", ...] | list["Output"]


def leave_out_head(network: nn.Module, names: Sequence[str], blank: Tensor) -> None:
    """Let the modules of `network` that are done when all layers `names` are return zeros and do nothing.

    `blank` is one image. Modules that are called more than once, or return something else than tensors, work on; all
    keep their weights, which a network may ask for. Whether it still does what it did is for the caller to see.
    """
    # A run on one image and a run on two: from both together follows what an output is like for any number.
    single, double = (
        RecordedRun.of(network, blank.expand(count, *blank.shape[1:]).clone()) for count in (1, 2)
    )
    for path in single.replaceable() & double.replaceable():
        if single.done[path] <= max(single.done[name] for name in names):
            output = _output(single.outputs[path], double.outputs[path])
            network.get_submodule(path).forward = partial(_zeros_whatever_is_given, output)


def _output(single: Any, double: Any) -> Output:
    """Return what an output is like, of which examples for one and for two images are given.

    Raises
    ------
    ValueError
        They are not alike.
    """
    if is_plain(single) and is_plain(double) and single == double:
        return Plain(single)
    if isinstance(single, Tensor) and isinstance(double, Tensor) and single.ndim == double.ndim:
        # What one more image adds to each axis: 1 on that of the images, 0 on most, more where images are
        # cut into windows.
        growth = tuple(after - before for before, after in zip(single.shape, double.shape, strict=True))
        return Shape(tuple(single.shape), growth, single.dtype)
    if type(single) in {tuple, list} and type(single) is type(double) and len(single) == len(double):
        parts: Iterator[Output] = (_output(*pair) for pair in zip(single, double, strict=True))
        return type(single)(parts)  # type: ignore[no-any-return]
    raise ValueError(f"{type(single).__name__} for one image and {type(double).__name__} for two")


def _zeros_whatever_is_given(output: Output, *_: Any, **__: Any) -> Any:
    return _zeros(output, IMAGES.get())


def _zeros(output: Output, images: Tensor) -> Any:
    if isinstance(output, Plain):
        return output.value
    if isinstance(output, Shape):
        shape = [
            # An axis grows by the same amount with every image, so that two runs tell its size for any
            # number.
            first + (len(images) - 1) * growth
            for first, growth in zip(output.first, output.growth, strict=True)
        ]
        return images.new_zeros(shape, dtype=output.dtype)
    return type(output)(_zeros(part, images) for part in output)
