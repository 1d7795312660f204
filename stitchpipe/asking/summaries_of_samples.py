"""What all samples of a layer come to: the means of classes, and the plane in which they vary most."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from stitchpipe.algebra.moments import Moments
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.layer_rows import row_blocks

if TYPE_CHECKING:
    from stitchpipe.asking.layer_rows import SampleView
    from stitchpipe.rows import Float64
    from storage import Representation

WIDEST: Final = 8192
"""Features of which all products are held: half a gibibyte of them, twice while they are added up."""


def class_means(layer: Representation, *, view: SampleView = "pooled") -> xr.DataArray:
    """Return the mean activations of every class, ``[classes, features]``, float64.

    Returns
    -------
    DataArray
        Dimensions ``class`` (by name where there are names) and ``feature``; coordinates ``label`` and ``n_samples``.
        Classes without a sample are left out.

    Raises
    ------
    WorkspaceError
        The samples have no labels.

    Notes
    -----
    Reads the layer once. Memory: two blocks, and the means.

    Examples
    --------
    >>> run.class_means("A/layer2.0").sel({"class": "3"})  # doctest: +SKIP
    """
    split = layer.split
    if split.labels is None:
        raise WorkspaceError(
            where=str(layer.address),
            expected="samples with labels",
            found="none with any",
            remedy="Declare labels with the data, or take means of chosen `samples` yourself.",
        )
    labels, of_rows = np.unique(split.labels, return_inverse=True)
    sums: Any = 0.0
    for start, rows in row_blocks(layer, view):
        members = np.zeros((len(labels), len(rows)))
        members[of_rows[start : start + len(rows)], np.arange(len(rows))] = 1.0
        sums = sums + members @ rows
    counts = np.bincount(of_rows)
    names = [split.class_names[label] if split.class_names else str(label) for label in labels.tolist()]
    return xr.DataArray(
        sums / counts[:, None],
        dims=("class", "feature"),
        coords={"class": names, "label": ("class", labels), "n_samples": ("class", counts)},
        name="class_means",
        attrs=_about(layer, view),
    )


def projection(layer: Representation, *, components: int = 2, view: SampleView = "pooled") -> xr.DataArray:
    """Return the samples in the directions in which they vary most (principal components), ``[samples, components]``.

    Returns
    -------
    DataArray
        Dimensions ``sample`` and ``component``, with ids and labels of the samples in the store's order, and the
        coordinate ``share``: how much of the variance each component holds. The largest weight of each direction is
        positive, so that the same data give the same picture.

    Raises
    ------
    WorkspaceError
        More components than features, or more features than products can be held of.

    Notes
    -----
    Reads the layer twice: for the moments, merged in float64 (Chan et al. 1983), and to project. Time O(n·p²) for p
    features, and O(p³); memory 3·8·p² bytes and two blocks. At most `WIDEST` features.

    Examples
    --------
    >>> plane = run.projection("A/layer2.0")                          # doctest: +SKIP
    >>> plane.to_dataset("component").plot.scatter(0, 1, hue="label")  # doctest: +SKIP
    """
    moments = _moments(layer, view, components)
    values, vectors = np.linalg.eigh(moments.comoment)
    directions: Float64 = vectors[:, ::-1][:, :components]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    directions = directions * np.where(largest < 0, -1.0, 1.0)
    points = np.concatenate([(rows - moments.mean) @ directions for _, rows in row_blocks(layer, view)])
    total = float(values.clip(0).sum())
    share = values[::-1][:components].clip(0) / (total or 1.0)
    split = layer.split
    samples: dict[str, Any] = {"sample_id": ("sample", np.array(split.sample_ids, object))}
    if split.labels is not None:
        samples["label"] = ("sample", split.labels)
    return xr.DataArray(
        points,
        dims=("sample", "component"),
        coords={**samples, "component": np.arange(components), "share": ("component", share)},
        name="projection",
        attrs=_about(layer, view),
    )


def _moments(layer: Representation, view: SampleView, components: int) -> Moments:
    """Return the moments of a layer's rows; a layer that is too wide is refused before anything is formed."""
    blocks = row_blocks(layer, view)
    _, first = next(blocks)
    width = first.shape[1]
    if not 1 <= components <= width or width > WIDEST:
        raise WorkspaceError(
            where=f"{layer.address} under {view}",
            expected=f"components of at least 1 and at most the features, which are at most {WIDEST}",
            found=f"{components} components of {width} features",
            remedy="Take view='pooled', or fewer components.",
        )
    rest = (Moments.from_block(rows) for _, rows in blocks)
    return reduce(Moments.merge, rest, Moments.from_block(first))


def _about(layer: Representation, view: SampleView) -> dict[str, str]:
    at = layer.address
    return {
        "dataset": at.dataset,
        "split": at.split,
        "model": at.model,
        "layer": at.layer,
        "view": view,
        "fingerprint": layer.fingerprint,
    }
