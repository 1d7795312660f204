"""A layer as rows of samples, block by block: what questions about samples read, in bounded memory."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.rows import layer_grid, to_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from stitchpipe.rows import Float64, Grid
    from storage import Representation, Split

SampleView: TypeAlias = Literal["pooled", "flatten"]
"""How a sample becomes one row: the mean over its positions, or all positions side by side."""

BLOCK_BYTES: Final = 16 * 2**20
"""What a block may take in float64."""


def stored_blocks(layer: Representation) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield where each block begins in the store's order, and its samples ``[n, …]`` as they are stored."""
    samples = max(BLOCK_BYTES // (8 * prod(layer.shape[1:])), 1)
    for group, (start, _) in enumerate(layer.row_groups):
        at = start
        for block in layer.blocks(group, samples):
            yield at, block
            at += len(block)


def row_blocks(layer: Representation, view: SampleView) -> Iterator[tuple[int, Float64]]:
    """Yield where each block begins in the store's order, and its samples as rows ``[n, width]``, float64.

    Notes
    -----
    Reads the layer once, each chunk held against its digest. Memory: two blocks of `BLOCK_BYTES`, or two chunks of the
    store where these are larger.
    """
    tokens = _tokens(layer, view)
    for start, block in stored_blocks(layer):
        yield start, to_rows(block, view, tokens=tokens)


def one_row(layer: Representation, row: int, view: SampleView) -> Float64:
    """Return one sample as the blocks have it, ``[width]``; reads the chunk that holds it."""
    block = layer.read_rows(np.array([row], np.int64))
    return np.asarray(to_rows(block, view, tokens=_tokens(layer, view))[0])


def _tokens(layer: Representation, view: SampleView) -> Grid | None:
    """Return the grid of a layer of tokens, None of others; refuse a view with several rows for a sample."""
    if view not in ("pooled", "flatten"):
        raise WorkspaceError.unknown(
            str(layer.address), "a view with one row for each sample", str(view), ["pooled", "flatten"]
        )
    image: Any = layer.identity.get("image_size")
    grid = layer_grid(layer.shape[1:], image)
    return grid if len(grid) == 3 else None


def sample_frame(split: Split, rows: list[int], **columns: object) -> pd.DataFrame:
    """Return samples as a data frame: ``sample_id``, ``label`` and ``class`` where there are labels, and more."""
    import pandas as pd  # noqa: PLC0415 - a third of a second that only whoever asks should pay

    told: dict[str, object] = {"sample_id": [split.sample_ids[row] for row in rows]}
    if split.labels is not None:
        labels = split.labels[np.array(rows, np.int64)].tolist()
        told["label"] = labels
        if split.class_names:
            told["class"] = [split.class_names[label] for label in labels]
    return pd.DataFrame({**told, **columns})


def demand_count(top: int, where: str) -> None:
    """Refuse to give fewer samples than one."""
    if top < 1:
        raise WorkspaceError(
            where=where, expected="top of at least 1", found=str(top), remedy="Ask for more samples."
        )
