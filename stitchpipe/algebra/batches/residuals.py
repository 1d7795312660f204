"""What fitted maps leave of a batch of pairs on other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches.slices import inner
from stitchpipe.algebra.maps.affine_map import FAR_ABOVE
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from stitchpipe.algebra.batches.fits import BatchMaps
    from stitchpipe.algebra.batches.pair_batch import PairBatch
    from stitchpipe.algebra.batches.slices import Flags, Floats, Integers


@dataclass(frozen=True, eq=False)
class ScoredMaps:
    """What fitted maps leave of a batch of pairs.

    Attributes
    ----------
    residuals
        Σ‖W x + b − y‖², ``[B]``; NaN where the batch does not vouch for the map.
    rank, condition
        ``[B]``, as of `AffineMap`.
    """

    residuals: Floats
    rank: Integers
    condition: Floats


def score_maps(batch: PairBatch, train: PairBatch, maps: BatchMaps) -> ScoredMaps:
    """Return what maps leave of each pair, as `AffineMap.residual_from_moments`.

    With W = A·V it is tr(A·V·XX·Vᵀ·Aᵀ) − 2·tr(A·V·XY) + tr(YY) + n‖e‖²: V·XX·Vᵀ is of the layer, so that a pair costs
    O(k·q·(p + k)), with k the directions that the rows of `train` can have. Where the traces cancel to what is not far
    above their rounding, the positive eigenvalues of the residuals' comoments are summed, in O(q³) beside that.
    """
    weights = maps.weights
    squares, steps = batch.x.projected(train.x)
    predicted = squares[batch.ix] @ weights
    spread = inner(predicted, weights)
    spread += batch.y.total[batch.iy] - 2.0 * inner(weights, batch.scored_projections)
    near = np.flatnonzero(~_far_above_rounding(batch, train, maps, spread))
    if near.size:
        spread[near] = _positive_spreads(batch, near, weights[near], predicted[near])
    means = (batch.y.mean - train.y.mean)[batch.iy]
    offset = (steps[batch.ix, None, :] @ weights)[:, 0, :] - means
    residuals = np.where(maps.known, spread + batch.n * np.vecdot(offset, offset), np.nan)
    return ScoredMaps(residuals, maps.rank, maps.condition)


def _positive_spreads(batch: PairBatch, rows: Integers, weights: Floats, predicted: Floats) -> Floats:
    """Return the sums of the positive eigenvalues of the residuals' comoments of some pairs, ``[g]``."""
    columns = weights.swapaxes(1, 2)
    explained = columns @ batch.scored_projections[rows]
    comoments = columns @ predicted - explained - explained.swapaxes(1, 2) + batch.y.comoment[batch.iy[rows]]
    values = np.linalg.eigvalsh(0.5 * (comoments + comoments.swapaxes(1, 2)))
    return np.asarray(np.clip(values, 0.0, None).sum(axis=-1))


def _far_above_rounding(batch: PairBatch, train: PairBatch, maps: BatchMaps, spread: Floats) -> Flags:
    """Return which residuals are far above the rounding of their three traces, ``[B]``."""
    sizes_y = batch.y.sizes[batch.iy]
    # Σ_j|W_kj|·‖x̃_j‖ ≤ ‖W_k‖·‖X̃‖_F, and ‖W_k‖ = ‖A_k‖ because directions are orthonormal. W itself need be formed only
    # where this bound does not settle it.
    lengths = np.sqrt((maps.weights * maps.weights).sum(axis=1))
    spread_x = np.sqrt(np.clip(batch.x.total[batch.ix], 0.0, None))
    bound = lengths * spread_x[:, None] + sizes_y
    limit = FAR_ABOVE * EPS64
    far = spread > limit * np.vecdot(bound, bound)
    near = np.flatnonzero(~far)
    if near.size:
        W = maps.weights[near].swapaxes(1, 2) @ train.x.axes[batch.ix[near]]
        terms = (np.abs(W) @ batch.x.sizes[batch.ix[near], :, None])[:, :, 0] + sizes_y[near]
        far[near] = spread[near] > limit * np.vecdot(terms, terms)
    return np.asarray(far)
