"""Numbers now, for networks: run two of them over the same images and compare their layers in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.capture import collect_together
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
        Batches of images, or tuples that begin with images; walked once, both networks see each batch.
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
    batches = iter(loader)
    first = next(batches, None)
    if first is None:
        raise ValueError("the loader is empty: expected at least one batch of images")
    example = (first if isinstance(first, Tensor) else first[0])[:1]
    networks = {"a": model_a, "b": model_b}
    chosen = {
        name: select(layers_of(network, example.to(_device(network)), functions=True), layers)
        for name, network in networks.items()
    }
    found = collect_together(networks, chain([first], batches), chosen)
    held = {f"{name}/{layer}": values for name, part in found.items() for layer, values in part.items()}
    return compare_arrays(held, **{"view": "pooled", **options})


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
