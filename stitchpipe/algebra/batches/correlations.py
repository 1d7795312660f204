"""Canonical correlations of a batch of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches.slices import STEP, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.batches.layer_batch import Directions, LayerBatch
    from stitchpipe.algebra.batches.pair_batch import PairBatch
    from stitchpipe.algebra.batches.slices import Floats, Integers


@dataclass(frozen=True, eq=False)
class Variates:
    """Canonical variates of pairs whose ranks are equal.

    Attributes
    ----------
    rows
        ``[g]``: which pairs of the batch.
    values
        ρ ``[g, m]``, m the smaller of the two ranks.
    rotations_x, rotations_y
        ``[g, m, r]`` and ``[g, m, s]``: the variates of a side, as rows, in its whitened directions.
    """

    rows: Integers
    values: Floats
    rotations_x: Floats
    rotations_y: Floats


@dataclass(frozen=True, eq=False)
class Correlations:
    """What the indices of canonical correlations need of a batch; NaN where it does not vouch for a pair.

    Attributes
    ----------
    mean, mean_square
        ``[B]``: of ρ, and of ρ², over the smaller of the two ranks.
    rank, condition
        ``[B]``: that rank, and the larger condition of both sides.
    variates
        By equal ranks; None where they were not asked for.
    """

    mean: Floats
    mean_square: Floats
    rank: Integers
    condition: Floats
    variates: Sequence[Variates] | None


def correlate(batch: PairBatch, variance: float | None, *, rotated: bool) -> Correlations:
    """Return the correlations of a batch, as `canonical_correlations` of each pair.

    Time O(p·q·min(p, q)) a pair, with the ranks in place of the widths.
    """
    x, y = batch.x.leading(variance), batch.y.leading(variance)
    rank_x, rank_y = x.rank[batch.ix], y.rank[batch.iy]
    # Two subspaces whose ranks exceed n − 1 together meet by dimension counting: those pairs are refused one by one.
    defined = batch.sound & (rank_x + rank_y <= batch.n - 1)
    rank, condition = x.between(y, batch.ix, batch.iy)
    mean, square = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    variates = []
    # Vectors beside zeros could mix with those of vanishing correlations, so with them no rank is rounded up.
    for rows, r, s in grouped(rank_x, rank_y, defined, step=1 if rotated else STEP):
        block = whitened(batch, x, y, rows, r, s)
        if rotated:
            U, values, Zt = np.linalg.svd(block, full_matrices=False)
            values = np.clip(values, 0.0, 1.0)
            variates.append(Variates(rows, values, U.swapaxes(1, 2), Zt))
        else:
            values = np.clip(np.linalg.svd(block, compute_uv=False), 0.0, 1.0)
        mean[rows] = values.sum(axis=-1) / rank[rows]
        square[rows] = (values * values).sum(axis=-1) / rank[rows]
    return Correlations(mean, square, rank, condition, variates if rotated else None)


def whitened(batch: PairBatch, x: Directions, y: Directions, rows: Integers, r: int, s: int) -> Floats:
    """Return the cross-products of some pairs in the first r and s whitened directions: 0 beyond their ranks."""
    block: Floats = batch.crosses[rows, :r, :s] * x.whitening[batch.ix[rows], :r, None]
    block *= y.whitening[batch.iy[rows], None, :s]
    return block


def projection_weighted(batch: PairBatch) -> Floats:
    """Return Σwᵢρᵢ of each pair (`CanonicalCorrelations.projection_weighted`), ``[B]``, weights of the source."""
    found = np.full(len(batch), np.nan)
    correlations = batch.correlations(rotated=True)
    for group in correlations.variates or ():
        rotations = group.rotations_y if batch.swapped else group.rotations_x
        found[group.rows] = _weighted(group, rotations, batch.x, batch.ix[group.rows])
    return found


def _weighted(group: Variates, rotations: Floats, layers: LayerBatch, chosen: Integers) -> Floats:
    rank = rotations.shape[-1]
    # The columns are the neurons, seen in the directions that count.
    neurons = np.sqrt(layers.eigenvalues[chosen, :rank, None]) * layers.axes[chosen, :rank]
    weights = np.abs(rotations @ neurons).sum(axis=-1)
    return np.asarray(np.minimum(1.0, np.vecdot(weights, group.values) / weights.sum(axis=-1)))
