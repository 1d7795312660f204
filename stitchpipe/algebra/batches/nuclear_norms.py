"""Sums of singular values of a batch of cross-products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches.correlations import whitened
from stitchpipe.algebra.batches.slices import STEP, grouped, inner

if TYPE_CHECKING:
    from stitchpipe.algebra.batches.pair_batch import PairBatch
    from stitchpipe.algebra.batches.slices import Flags, Floats

_LOST = 5e-13  # what a projection may take off a cosine before it is formed of the whole product


def nuclear_norms(batch: PairBatch) -> Floats:
    """Return ‖X̃ᵀỸ‖_* of sides scaled to Frobenius norm 1, ``[B]``; 0 where a side does not vary.

    Time O(p·q·min(p, q)) a pair. n centred rows span n − 1 directions: where that is at most half of either width, the
    product is formed in those directions first, in O(n·p·q).
    """
    if 2 * max(batch.x.held, batch.y.held) > min(batch.x.p, batch.y.p):
        return np.asarray(np.linalg.svd(batch.scaled, compute_uv=False).sum(axis=-1))
    norms, exact = _projected_norms(batch)
    rest = np.flatnonzero(~exact)
    if rest.size:
        norms[rest] = np.linalg.svd(batch.scaled[rest], compute_uv=False).sum(axis=-1)
    return norms


def _projected_norms(batch: PairBatch) -> tuple[Floats, Flags]:
    """Return the norms in the directions that rows can have, and for which pairs nothing of the product is lost.

    Directions are known to rounding of the comoments, so that one of little variance may be mixed with those that hold
    nothing. Whether that matters is seen from what each projection leaves out.
    """
    scaled, x, y = batch.scaled, batch.x.axes[batch.ix], batch.y.axes[batch.iy]
    left = x @ scaled
    out_of_x = scaled - x.swapaxes(1, 2) @ left
    both = left @ y.swapaxes(1, 2)
    out_of_y = left - both @ y
    values: Floats = np.linalg.svd(both, compute_uv=False).astype(np.float64, copy=False)
    lost = _lost(values, inner(out_of_x, out_of_x))
    lost += _lost(values, inner(out_of_y, out_of_y))
    return values.sum(axis=-1), np.asarray(lost <= _LOST)


def _lost(values: Floats, left_out: Floats) -> Floats:
    """Bound what a nuclear norm can be above Σσᵢ ``[B, k]`` if a part of squared norm `left_out` ``[B]`` was left out.

    With M = T + R and orthogonal T and R, ‖M‖_* is tr √(TᵀT + RᵀR). As f(s) = √(s + m²) is concave, tr f(S + E) is at
    most tr f(S) + tr f′(S)E (Klein's inequality), and f′ ≤ 1/(2m): the norm grows by at most
    Σᵢ min(m, m²/(2σᵢ)) + ‖R‖²/(2m), for every m > 0.
    """
    m = np.geomspace(1e-15, 1e-6, 19)[:, None]
    twice = 2.0 * np.maximum(values, np.finfo(np.float64).tiny)
    grown = np.minimum(m[:, :, None], m[:, :, None] ** 2 / twice).sum(axis=-1)
    return np.asarray((grown + left_out / (2.0 * m)).min(axis=0))


def penalised_norms(batch: PairBatch, ridge: float) -> Floats:
    """Return ‖C‖_* of the whitened cross-products C under a penalty, ``[B]``; NaN for pairs that are not sound."""
    x, y = batch.x.penalised(ridge), batch.y.penalised(ridge)
    found = np.full(len(batch), np.nan)
    for rows, r, s in grouped(x.rank[batch.ix], y.rank[batch.iy], batch.sound, step=STEP):
        values = np.linalg.svd(whitened(batch, x, y, rows, r, s), compute_uv=False)
        found[rows] = values.sum(axis=-1)
    return found


def penalised_squares(batch: PairBatch, ridge: float) -> Floats:
    """Return ‖C‖²_F of the whitened cross-products C under a penalty, ``[B]``; NaN for pairs that are not sound."""
    x, y = batch.x.penalised(ridge), batch.y.penalised(ridge)
    found = np.full(len(batch), np.nan)
    for rows, r, s in grouped(x.rank[batch.ix], y.rank[batch.iy], batch.sound, step=STEP):
        block = whitened(batch, x, y, rows, r, s)
        found[rows] = inner(block, block)
    return found
