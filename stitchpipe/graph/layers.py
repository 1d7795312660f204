"""The layers of a network by name, with shapes, and which of them are cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stitchpipe.graph.layer_info import LayerInfo
from stitchpipe.graph.layout import channels_last
from stitchpipe.graph.opening import observed, opened
from stitchpipe.graph.trace import in_eval_mode
from stitchpipe.rows import token_grid

if TYPE_CHECKING:
    from stitchpipe.graph.layout import Shape


@torch.inference_mode()
def layers(network: nn.Module, example: Tensor, *, functions: bool = False) -> tuple[LayerInfo, ...]:
    """Return the layers of `network` in execution order; `example` is a batch of one image or more.

    Only outputs with one entry per image and one to three dimensions besides are layers: windows cut out of
    images, tuples and parameters are not. Values ``(H, W, C)`` are listed as ``(C, H, W)``. With `functions` those of
    functions inside modules are listed too; hooks do not see them.

    Raises
    ------
    TraceError
        The network does not take such images.

    Notes
    -----
    Two forward passes in eval mode, a third where channels may be last; the network's own mode is what it was
    afterwards. Counting live values is linear in the graph's nodes and uses. By hooks: a forward pass or two for every
    layer, see `stitchpipe.graph.by_hooks`.
    """
    images = torch.cat([example, example])  # two images at least: a leading 1 could be anything
    with in_eval_mode(network):
        reached, seen = observed(opened(network), images)
        last = channels_last(network, images, seen, reached.observe)
        shapes = {
            name: shape[1:]
            for name, shape in seen.shapes.items()
            if len(shape) in {2, 3, 4} and shape[0] == len(images)
        }
        names = [name for name in shapes if functions or not reached.is_function(name)]
        why = reached.why_no_cut(names, example[:1])
    size = (images.shape[2], images.shape[3]) if images.ndim == 4 else (1, 1)
    return tuple(
        LayerInfo(
            name,
            _channels_first(shapes[name]) if name in last else shapes[name],
            is_cut=not why[name],
            tokens=token_grid(shapes[name][0], size) if len(shapes[name]) == 2 else None,
            channels_last=name in last,
            is_function=reached.is_function(name),
            why_no_cut=why[name],
            by_hooks=reached.by_hooks,
        )
        for name in names
    )


def _channels_first(shape: Shape) -> Shape:
    height, width, channels = shape
    return (channels, height, width)
