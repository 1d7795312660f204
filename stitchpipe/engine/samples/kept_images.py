"""What is kept of a layer's images: read once, enough for every index over them, and outliving the activations."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.samples import PrincipalScores, SampleGram
from stitchpipe.engine.planning.comparison import by_scores
from stitchpipe.engine.planning.shapes import STORAGE_EPS
from stitchpipe.rows import to_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import View

POOLED, GRAM = "images", "gram"
"""The kinds of summaries that are kept: pooled images ``[m, p]``, and sample Grams ``[m, m]`` of flattened ones."""
FEATURES = 4096
"""Flattened features that become rows at a time."""


def keep_images(comparison: ImageComparison, index: int, view: View) -> None:
    """Keep what the indices over samples need of a layer; what is there already is not read again.

    Pooled images are kept as they are, flattened ones as their Gram. Neither needs the activations any more.

    Raises
    ------
    storage.StoreError
        The representation is missing or damaged.
    """
    kind = POOLED if view == "pooled" else GRAM
    if comparison.summaries.has(kind, comparison.key(index, view)):
        return
    with threadpool_limits(limits=1):
        stored = comparison.reader(index).read_rows(np.arange(comparison.n_images))
        if view == "pooled":
            keep_pooled(comparison, index, to_rows(stored, view))
            return
        keep_gram(comparison, index, stored.reshape(len(stored), -1))


def keep_pooled(comparison: ImageComparison, index: int, rows: npt.NDArray[np.float64]) -> None:
    """Keep the pooled images ``[n_images, p]`` of a layer."""
    comparison.summaries.write(
        POOLED, comparison.key(index, "pooled"), {"rows": rows}, _about(comparison, index, "pooled")
    )


def keep_gram(comparison: ImageComparison, index: int, flat: npt.NDArray[Any]) -> None:
    """Keep the Gram of the flattened images ``[n_images, p]`` of a layer."""
    arrays = {name: np.asarray(value) for name, value in asdict(_gram(flat)).items()}
    key, about = comparison.key(index, "flatten"), _about(comparison, index, "flatten")
    comparison.summaries.write(GRAM, key, arrays, about)


def is_pooled(comparison: ImageComparison, index: int) -> bool:
    """Return whether a layer's pooled images are kept."""
    return comparison.summaries.has(POOLED, comparison.key(index, "pooled"))


def _about(comparison: ImageComparison, index: int, view: View) -> dict[str, str]:
    layer = comparison.layers[index]
    return {"model": layer.model, "layer": layer.layer, "view": view, "fingerprint": layer.fingerprints[-1]}


def _gram(flat: npt.NDArray[Any]) -> SampleGram:
    """Return the Gram of flattened images, formed over blocks of features."""
    total: SampleGram | None = None
    for start in range(0, flat.shape[1], FEATURES):
        block = SampleGram.from_block(flat[:, start : start + FEATURES].astype(np.float64))
        total = block if total is None else total.merge(block)
    if total is None:
        raise ValueError("a layer without features")
    return total


def side_of(comparison: ImageComparison, view: View, layer: int, index: Index) -> Any:
    """Return a layer's side of an index, from what is kept of it. Raises UndefinedIndexError."""
    eps = STORAGE_EPS[comparison.layers[layer].itemsize]
    if by_scores(view, index):
        if view == "pooled":
            return PrincipalScores.from_rows(_kept(comparison, view, layer)["rows"], storage_eps=eps)
        return PrincipalScores.from_gram(kept_gram(comparison, view, layer), storage_eps=eps)
    if index.of_gram is None:
        raise ValueError(f"{index.name} is not computed from images")
    return index.of_gram(kept_gram(comparison, view, layer))


def kept_gram(comparison: ImageComparison, view: View, layer: int) -> SampleGram:
    """Return the Gram of a layer's images, from what is kept of them."""
    arrays = _kept(comparison, view, layer)
    if view == "pooled":
        return SampleGram.from_block(arrays["rows"])
    kept = {field.name: arrays[field.name] for field in fields(SampleGram)}
    attributes: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in kept.items()}
    return SampleGram(**attributes)


def _kept(comparison: ImageComparison, view: View, layer: int) -> Mapping[str, npt.NDArray[Any]]:
    kind = POOLED if view == "pooled" else GRAM
    return comparison.summaries.read(kind, comparison.key(layer, view)).arrays
