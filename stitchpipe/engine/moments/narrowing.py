"""Rows of more features than there are images, in as many coordinates as they span."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.moments import triangle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.engine.moments.kept_rows import SplitRows

Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.floating[Any]]


def narrowed(splits: Sequence[SplitRows], coordinates: int) -> list[SplitRows]:
    """Return rows on all splits with wide layers in `coordinates`, the same ones on every split.

    Inner products of rows do not change, those with their means included, so that every index and every map that is
    invariant to rotation has the same number. Decompositions then cost n³ and not p³.

    Parameters
    ----------
    coordinates
        The samples of all splits and one: all rows of a layer and what they are about span no more.

    Notes
    -----
    Time O(n²·p) for each wide layer: a triangular factor, which does not square their condition.
    """
    last = splits[-1]
    wide = [layer for layer, rows in last.rows.items() if len(rows) - 1 > coordinates]
    if not wide:
        return list(splits)
    held = [(dict(split.rows), dict(split.shifts), dict(split.largest)) for split in splits]
    for layer in wide:
        about = last.shifts[layer]
        of_splits = [split.rows[layer][:-1] + (split.shifts[layer] - about)[:, None] for split in splits]
        # [c, R] = BT: what rows are about comes first and is a multiple of the first direction, then the rows of all
        # splits about it. T has them in the basis B, which nobody needs.
        factor = triangle(np.concatenate([about[:, None], *of_splits], axis=1))
        stop = 1
        for (rows, shifts, largest), features in zip(held, of_splits, strict=True):
            start, stop = stop, stop + features.shape[1]
            rows[layer] = _with_norms(factor[:, start:stop]).astype(last.rows[layer].dtype, copy=False)
            shifts[layer] = factor[:, 0]
            largest[layer] = float(np.abs(about + features.mean(axis=1)).max())
    # Where any layer has coordinates, all are asked for the size of their means; those of features say it themselves.
    return [
        replace(split, rows=rows, shifts=shifts, largest=largest)
        for split, (rows, shifts, largest) in zip(splits, held, strict=True)
    ]


def _with_norms(coordinates: Float64) -> Float64:
    """Return ``[r, n]`` with the squared norms of the n rows as one more column, about their mean."""
    norms = (coordinates * coordinates).sum(axis=0)
    return np.concatenate([coordinates, (norms - norms.mean())[None, :]])
