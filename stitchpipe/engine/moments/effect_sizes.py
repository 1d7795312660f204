"""Effect sizes of a batch of pairs: where their numbers stand in nulls that have a closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.algebra.batches import PairBatch
    from stitchpipe.engine.numbers import Float64


def effect_sizes(batch: PairBatch, indices: Sequence[Index], values: Float64) -> Mapping[str, Float64]:
    """Return what closed-form nulls say of ``values [K, B]``, by the names of extras; empty where no index has one.

    Nor where a row is a position: rows of one image are not exchangeable, and no norms are accumulated there.
    """
    closed = [(place, index) for place, index in enumerate(indices) if index.null_moments is not None]
    # Only where they are asked for: the sums cost as much as a product of a layer with itself.
    x, y = (batch.x.gram_sums, batch.y.gram_sums) if closed else (None, None)
    told: dict[str, Float64] = {}
    for place, index in closed:
        null = None if x is None or y is None else index.closed_null(x.at(batch.ix), y.at(batch.iy))
        if null is None:
            continue
        for name, of_index in null.beside(values[place]).items():
            told.setdefault(name, np.full(values.shape, np.nan))[place] = of_index
    return told
