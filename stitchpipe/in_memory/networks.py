"""Networks in memory: two of them run over the same images, and their layers are compared as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor, nn

from stitchpipe.algebra import RowsError
from stitchpipe.capture import device_of, paired_activations
from stitchpipe.graph import layers as layers_of
from stitchpipe.graph import select
from stitchpipe.in_memory.arrays import DEFAULT_INDICES, compare_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from stitchpipe.rows import View

Batches: TypeAlias = Iterable[Tensor | Sequence[Tensor]]
"""Batches of images ``(n, C, H, W)``, or tuples that begin with images, as a data loader gives them."""


def compare_networks(
    model_a: nn.Module,
    model_b: nn.Module,
    images: Batches,
    *,
    layers: Sequence[str],
    indices: Sequence[str] = DEFAULT_INDICES,
    view: View = "pooled",
    fit: Batches | None = None,
) -> pd.DataFrame:
    """Compare the chosen layers of two networks on some images, all ordered pairs, in memory.

    Parameters
    ----------
    model_a, model_b
        Run in eval mode, each on its own device. Their layers stand in the result as ``a/NAME`` and ``b/NAME``.
    images
        Walked once; both networks see each batch, so that a loader may shuffle.
    layers
        Globs over layer names, of which each must match in both networks.
    indices, view
        As in `stitchpipe.in_memory.arrays.compare_arrays`.
    fit
        Other images: ``dm_…`` indices then score maps that are fitted on these.

    Returns
    -------
    pandas.DataFrame
        As `compare_arrays`.

    Raises
    ------
    stitchpipe.graph.LayerError
        A glob matches nothing.
    RowsError
        There are no images; and what `compare_arrays` raises.
    stitchpipe.capture.CaptureError, stitchpipe.graph.TraceError
        A network does not take the images, or does not answer the same image in the same way every time.

    Notes
    -----
    All activations of the chosen layers are held in memory, in float32, twice while they are put together.
    """
    networks = {"a": model_a, "b": model_b}
    # The networks are looked at with an image before the loader is walked. It may be an iterator, so the
    # first batch is put back in front.
    example, batches = _first_image(images, "images")
    chosen = {
        name: select(layers_of(network, example.to(device_of(network)), functions=True), layers)
        for name, network in networks.items()
    }
    fitted = None if fit is None else _activations(networks, _first_image(fit, "fit")[1], chosen)
    representations = _activations(networks, batches, chosen)
    return compare_arrays(representations, indices=indices, view=view, fit=fitted)


def _first_image(batches: Batches, where: str) -> tuple[Tensor, Batches]:
    """Return one image as a batch, and all batches, the first of them included."""
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise RowsError(
            where=where,
            expected="at least one batch of images",
            found="an empty loader",
            remedy="An iterator can be walked only once: hand over a list or a DataLoader.",
        )
    images = first if isinstance(first, Tensor) else first[0]
    return images[:1], chain([first], iterator)


def _activations(
    networks: Mapping[str, nn.Module], batches: Batches, chosen: Mapping[str, Sequence[str]]
) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Return ``a/LAYER`` and ``b/LAYER`` → activations ``(n, …)``."""
    by_network = paired_activations(networks, batches, chosen)
    return {
        f"{name}/{layer}": values
        for name, by_layer in by_network.items()
        for layer, values in by_layer.items()
    }
