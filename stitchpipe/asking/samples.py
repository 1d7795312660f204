"""Questions about samples, answered from the store alone: which excite a channel, which are near another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.layer_rows import demand_count, one_row, row_blocks, sample_frame, stored_blocks

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from stitchpipe.asking.layer_rows import SampleView
    from stitchpipe.rows import Float64
    from storage import Representation

Pooling: TypeAlias = Literal["mean", "max"]
"""What of a channel counts: its mean over the positions, or its largest value."""
Metric: TypeAlias = Literal["cosine", "euclidean"]


def top_samples(
    layer: Representation, channel: int, *, by: Pooling = "mean", top: int = 10, smallest: bool = False
) -> pd.DataFrame:
    """Return the samples that excite a channel most, the most excited first.

    Parameters
    ----------
    channel
        Its number; of tokens and vectors, a feature's.
    by
        What of the channel counts: its ``mean`` over positions, or its ``max``.
    smallest
        Give those that excite it least instead.

    Returns
    -------
    DataFrame
        ``sample_id``, ``label``, ``class``, ``value``; of equal ones those that are stored first.

    Raises
    ------
    WorkspaceError
        There is no such channel.

    Notes
    -----
    Reads the layer once: a chunk of the store holds all channels of its samples. Memory: two chunks, and a value for
    each sample.

    Examples
    --------
    >>> run.top_samples("A/layer2.0", channel=5)  # doctest: +SKIP
    """
    demand_count(top, str(layer.address))
    axis = -1 if len(layer.shape) == 3 else 1  # features are last in tokens
    if not 0 <= channel < layer.shape[axis]:
        raise WorkspaceError(
            where=str(layer.address),
            expected=f"a channel from 0 to {layer.shape[axis] - 1}",
            found=str(channel),
            remedy="Name one of these.",
        )
    if by not in ("mean", "max"):
        raise WorkspaceError.unknown(str(layer.address), "what of a channel counts", str(by), ["mean", "max"])
    blocks = (np.take(block, channel, axis=axis) for _, block in stored_blocks(layer))
    values = np.concatenate([_pooled(block, by) for block in blocks])
    order = np.argsort(values if smallest else -values, kind="stable")[:top]
    return sample_frame(layer.split, order.tolist(), value=values[order])


def nearest_samples(
    layer: Representation,
    sample_id: str,
    *,
    metric: Metric = "cosine",
    view: SampleView = "pooled",
    top: int = 10,
) -> pd.DataFrame:
    """Return the samples whose activations are nearest to those of one, the nearest first.

    Parameters
    ----------
    metric
        ``cosine``: 1 less the cosine of the angle, about the origin; ``euclidean``: the length of the difference.
    view
        ``pooled``: means over positions; ``flatten``: all values.

    Returns
    -------
    DataFrame
        ``sample_id``, ``label``, ``class``, ``distance``; the sample itself is not among them. A sample without any
        excitation has no angle, and comes last with a distance of NaN.

    Raises
    ------
    storage.SampleIdError
        There is no such sample; the nearest id is named.

    Notes
    -----
    Reads the layer once, and the sample's chunk. Memory: two blocks, and a value for each sample.

    Examples
    --------
    >>> run.nearest_samples("A/layer2.0", "test/017")  # doctest: +SKIP
    """
    demand_count(top, str(layer.address))
    if metric not in ("cosine", "euclidean"):
        raise WorkspaceError.unknown(str(layer.address), "a distance", str(metric), ["cosine", "euclidean"])
    own = int(layer.rows_of(sample_ids=[sample_id])[0])
    point = one_row(layer, own, view)
    distances = np.concatenate([_distances(rows, point, metric) for _, rows in row_blocks(layer, view)])
    order = np.argsort(distances, kind="stable")  # NaN come last
    order = order[order != own][:top]
    return sample_frame(layer.split, order.tolist(), distance=distances[order])


def _distances(rows: Float64, point: Float64, metric: Metric) -> Float64:
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(rows - point, axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (rows @ point) / (np.linalg.norm(rows, axis=1) * np.linalg.norm(point))
    return np.asarray(1.0 - cosines)


def _pooled(values: npt.NDArray[Any], by: Pooling) -> Float64:
    """Return one number for each sample, given one channel of each ``[n, …]``."""
    flat = values.astype(np.float64).reshape(len(values), -1)
    return np.asarray(flat.mean(axis=1) if by == "mean" else flat.max(axis=1))
