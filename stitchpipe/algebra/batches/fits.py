"""Least-squares maps of each family, fitted for a batch of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stitchpipe.algebra.batches.slices import grouped, inner
from stitchpipe.algebra.maps import LOW_RANK
from stitchpipe.algebra.penalty import RIDGE
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.batches.layer_batch import Directions
    from stitchpipe.algebra.batches.pair_batch import PairBatch
    from stitchpipe.algebra.batches.slices import Flags, Floats, Integers

    Fit: TypeAlias = "Callable[[PairBatch, float | None], BatchMaps]"


@dataclass(frozen=True, eq=False)
class BatchMaps:
    """Maps of a batch of pairs, in the directions of their sources on the rows that they were fitted on.

    Attributes
    ----------
    weights
        Aᵀ ``[B, k, q]``: the map of a pair is W = A·V, with V the source's `LayerBatch.axes`.
    rank, condition
        ``[B]``, as of `AffineMap`.
    known
        ``[B]``: for which pairs the batch vouches.
    """

    weights: Floats
    rank: Integers
    condition: Floats
    known: Flags

    def of(self, rows: slice) -> BatchMaps:
        """Return those of some pairs."""
        return BatchMaps(self.weights[rows], self.rank[rows], self.condition[rows], self.known[rows])


def fit_maps(train: PairBatch, family: str, parameter: float | None) -> BatchMaps | None:
    """Fit the maps of a family on the rows of a batch, as `fit_map` for each pair; None for a family without stacks.

    Time O(k·p·q) a pair, with k the directions that rows can have; O(k·q·min(k, q)) beside that for low rank and
    rotations.
    """
    fit = _FITS.get(family)
    return None if fit is None else fit(train, parameter)


def _affine(train: PairBatch, _: float | None) -> BatchMaps:
    return _of_directions(train, train.x.retained)


def _ridge(train: PairBatch, ridge: float | None) -> BatchMaps:
    return _of_directions(train, train.x.penalised(RIDGE if ridge is None else ridge))


def _of_directions(train: PairBatch, x: Directions) -> BatchMaps:
    """Return YX·V (Λ + penalty)⁻¹ Vᵀ, without the last factor."""
    weights = train.projections * (x.whitening * x.whitening)[train.ix, :, None]
    return BatchMaps(weights, x.rank[train.ix], x.condition[train.ix], _countable(train))


def _low_rank(train: PairBatch, parameter: float | None) -> BatchMaps:
    """Keep the leading singular values of the whitened products, as `fit_low_rank`."""
    bound = LOW_RANK if parameter is None else int(parameter)
    x, known = train.x.retained, _countable(train)
    rank, weights = x.rank[train.ix], np.zeros_like(train.projections)
    for rows, r, _ in grouped(rank, np.full_like(rank, train.y.p), known & (rank > 0), step=1):
        whitening = x.whitening[train.ix[rows], :r, None]
        U, S, Zt = np.linalg.svd(train.projections[rows, :r] * whitening, full_matrices=False)
        kept = min(bound, S.shape[-1])
        weights[rows, :r] = (whitening * U[:, :, :kept]) @ (S[:, :kept, None] * Zt[:, :kept])
    kept_rank = np.minimum(np.minimum(bound, train.y.p), rank)
    return BatchMaps(weights, kept_rank, x.condition[train.ix], known)


def _orthogonal(train: PairBatch, _: float | None) -> BatchMaps:
    """Rotate and scale, as `fit_orthogonal`: A = s·V_yᵀ Z Uᵀ of the singular vectors of the retained directions."""
    x, y = train.x, train.y
    rank_x, rank_y = x.retained.rank[train.ix], y.retained.rank[train.iy]
    known = _countable(train) & (rank_y <= y.held)
    weights = np.zeros_like(train.projections)
    rank, condition = np.zeros(len(train), dtype=np.intp), np.ones(len(train))
    tops = np.sqrt(
        x.eigenvalues[train.ix, 0] * y.eigenvalues[train.iy, 0], where=known, out=np.zeros(len(train))
    )
    noise = 4.0 * max(x.p, y.p) * EPS64 * tops
    for rows, r, s in grouped(rank_x, rank_y, known & (rank_x > 0) & (rank_y > 0), step=1):
        U, S, Zt = np.linalg.svd(train.crosses[rows, :r, :s], full_matrices=False)
        shared = noise[rows, None] < S
        rank[rows] = kept = np.count_nonzero(shared, axis=1)
        U, S = np.where(shared[:, None, :], U, 0.0), np.where(shared, S, 0.0)
        spread = inner(x.eigenvalues[train.ix[rows], :r, None] * U, U)
        scale = S.sum(axis=-1) / np.where(kept > 0, spread, 1.0)
        weights[rows, :r] = scale[:, None, None] * (U @ (Zt @ y.axes[train.iy[rows], :s]))
        last = np.take_along_axis(S, np.maximum(kept - 1, 0)[:, None], axis=1)[:, 0]
        condition[rows] = np.where(kept > 0, S[:, 0] / np.where(kept > 0, last, 1.0), 1.0)
    return BatchMaps(weights, rank, condition, known)


def _countable(train: PairBatch) -> Flags:
    """Return for which pairs the source has no more directions than its rows can have."""
    return np.asarray(train.x.retained.rank[train.ix] <= train.x.held)


_FITS: Mapping[str, Fit] = MappingProxyType(
    {"affine": _affine, "ridge": _ridge, "low_rank": _low_rank, "orthogonal": _orthogonal}
)
