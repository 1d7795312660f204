"""Networks in memory: two of them run over the same images, and their layers are compared as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

import pandas as pd

from stitchpipe.algebra import RowsError
from stitchpipe.capture import batches_of, device_of, images_of, paired_activations
from stitchpipe.config import layer_word
from stitchpipe.graph import LOGITS, LayerError, select
from stitchpipe.graph import layers as layers_of
from stitchpipe.in_memory.arrays import DEFAULT_INDICES, compare_arrays
from stitchpipe.registry import index_measure
from stitchpipe.run.layer_words import meant

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from stitchpipe.algebra import Products
    from stitchpipe.graph import LayerInfo
    from stitchpipe.in_memory.progress import Tell
    from stitchpipe.rows import View

Batches: TypeAlias = Iterable[Any]
"""Batches of images ``(n, C, H, W)`` as a data loader gives them, see `stitchpipe.capture.images_of`."""
Layers: TypeAlias = "str | Sequence[str] | Mapping[str, str | Sequence[str]]"
"""Globs over layers and words for them, of both networks or of each."""


class ArrayOptions(TypedDict, total=False):
    """What the comparison of arrays takes besides."""

    products: Products
    intervals: bool
    permutations: int
    groups: Sequence[Any]
    progress: bool | Tell


def compare_networks(
    model_a: nn.Module,
    model_b: nn.Module,
    images: Batches,
    *,
    layers: Layers = ("blocks",),
    indices: Sequence[str] = DEFAULT_INDICES,
    view: View = "pooled",
    fit: Batches | None = None,
    **options: Unpack[ArrayOptions],
) -> pd.DataFrame:
    """Compare the chosen layers of two networks on some images, all ordered pairs, in memory.

    Parameters
    ----------
    model_a, model_b
        Run in eval mode, each on its own device. Their layers stand in the result as ``a/NAME`` and ``b/NAME``.
    images
        Walked once; both networks see each batch, so that a loader may shuffle. A batch is a tensor, a tuple that
        begins with one, or named fields (`stitchpipe.capture.images_of`).
    layers
        Globs over layer names or words (``blocks``, ``cuts:10``, see `stitchpipe.run.layer_words`), of which each must
        match in both networks; or ``{"a": […], "b": […]}``, where each must match in its own. Default: the blocks.
    indices, view
        As in `stitchpipe.in_memory.arrays.compare_arrays`; ``agreement`` is between the networks' logits.
    fit
        Other images: ``dm_…`` indices then score maps that are fitted on these.
    options
        ``products``, ``intervals``, ``permutations``, ``groups``, ``progress``: as there.

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
    asked = _by_network(layers)
    chosen = {
        name: _selected(layers_of(network, example.to(device_of(network)), functions=True), asked[name], name)
        for name, network in networks.items()
    }
    of_logits = [name for name in indices if index_measure(name).computed_from == "logits"]
    of_layers = [name for name in indices if name not in of_logits]
    fitted = None if fit is None else _activations(networks, _first_image(fit, "fit")[1], chosen)
    ran = {name: [*layers, LOGITS] if of_logits else layers for name, layers in chosen.items()}
    representations = _activations(networks, batches, ran)
    logits = {f"{name}/{LOGITS}": representations.pop(f"{name}/{LOGITS}") for name in networks if of_logits}
    frames = []
    if of_layers:
        frames = [compare_arrays(representations, indices=of_layers, view=view, fit=fitted, **options)]
    if of_logits:
        frames.append(compare_arrays(logits, indices=of_logits, permutations=0))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _by_network(layers: Layers) -> Mapping[str, Sequence[str]]:
    """Return which layers are asked for of either network."""
    if not isinstance(layers, Mapping):
        given = (layers,) if isinstance(layers, str) else layers
        return {"a": given, "b": given}
    if layers.keys() != {"a", "b"}:
        raise RowsError(
            where="layers",
            expected="globs for both networks, under 'a' and 'b'",
            found=f"{', '.join(map(repr, layers)) or 'nothing'}",
            remedy='Write layers={"a": ["layer*"], "b": ["blocks.*"]}.',
        )
    return {name: (given,) if isinstance(given, str) else given for name, given in layers.items()}


def _selected(known: Sequence[LayerInfo], asked: Sequence[str], network: str) -> list[str]:
    """Return the layers that globs and words choose, in the network's order."""
    words = [text for text in asked if layer_word(text) is not None]
    chosen = set(select(known, [text for text in asked if text not in words]))
    for word in words:
        layers = meant(word, known)
        if not layers:
            raise LayerError(
                where=f"layers of network '{network}'",
                expected=f"'{word}'",
                found=f"none among {len(known)} layers",
                remedy=f"Name layers, for example {known[-1].name!r}, or take 'all:10'.",
            )
        chosen.update(info.name for info in layers)
    return [info.name for info in known if info.name in chosen]


def _first_image(batches: Batches, where: str) -> tuple[Tensor, Batches]:
    """Return one image as a batch, and all batches, the first of them included."""
    iterator = batches_of(batches)
    first = next(iterator, None)
    if first is None:
        raise RowsError(
            where=where,
            expected="at least one batch of images",
            found="an empty loader",
            remedy="An iterator can be walked only once: hand over a list or a DataLoader.",
        )
    return images_of(first)[:1], chain([first], iterator)


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
