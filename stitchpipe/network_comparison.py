"""Numbers now, for networks: run two of them over the same images and compare their layers in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.capture import collect
from stitchpipe.comparison import compare_arrays
from stitchpipe.graph import layers as layers_of
from stitchpipe.graph import select

if TYPE_CHECKING:
    import pandas as pd

Batches = Iterable[Tensor | Sequence[Tensor]]


def compare_networks(
    model_a: nn.Module, model_b: nn.Module, loader: Batches, *, layers: Sequence[str], **options: Any
) -> pd.DataFrame:
    """Compare the chosen layers of two networks on the images of a loader, all ordered pairs, in memory.

    Parameters
    ----------
    model_a, model_b
        Put into eval mode. Their layers stand in the result as ``a/NAME`` and ``b/NAME``.
    loader
        Batches of images, or tuples that begin with images; not shuffled between two passes.
    layers
        Globs over layer names, of which each must match in both networks.
    options
        ``indices``, ``view`` and ``fit``, as in `stitchpipe.comparison.compare_arrays`; `view` defaults to
        ``pooled``.

    Returns
    -------
    pandas.DataFrame
        As `compare_arrays`.

    Raises
    ------
    stitchpipe.graph.LayerError, ValueError
        A glob matches nothing; the loader is empty.
    """
    batches = list(loader) if iter(loader) is loader else loader
    first = next(iter(batches), None)
    if first is None:
        raise ValueError("the loader is empty: expected at least one batch of images")
    example = (first if isinstance(first, Tensor) else first[0])[:1]
    held: dict[str, Any] = {}
    for prefix, network in (("a", model_a), ("b", model_b)):
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        chosen = select(layers_of(network, example.to(device)), layers)
        held |= {f"{prefix}/{name}": values for name, values in collect(network, batches, chosen).items()}
    return compare_arrays(held, **{"view": "pooled", **options})
