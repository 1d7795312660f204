"""Affine maps of least squares whose rank is bounded: reduced-rank regression."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from stitchpipe.algebra.inputs import namespace
from stitchpipe.algebra.maps.affine_map import AffineMap, centred_map
from stitchpipe.algebra.maps.family import Family
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.measures import LINEAR, Parameter

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments

LOW_RANK = 8
"""The default rank of a low-rank map: half of the narrowest stage of a CIFAR ResNet, so that it binds everywhere."""


def fit_low_rank(pair: PairMoments, *, rank: int = LOW_RANK, storage_eps: float = EPS64) -> AffineMap:
    """Return argmin of Σ‖W xᵢ + b − yᵢ‖² over maps with rank W ≤ `rank`: reduced-rank regression.

    With V Λ Vᵀ the retained directions of X and U S Zᵀ the singular values of Λ^-½ Vᵀ·XY, W = Z_r S_r U_rᵀ Λ^-½ Vᵀ:
    the unrestricted map, projected on the r leading principal directions of its own predictions. Unique where the
    r-th and the next singular value differ.

    Notes
    -----
    The map's rank is that of W, its condition that of the retained directions. Time O(p²·q + p·q·min(p, q)), and
    O(p³) once per source; the error is that of `fit_direct_matching`, times S₁/(S_r − S_{r+1}) for W itself, not for
    its residual. Izenman 1975 (with the identity for weights).
    """
    x = pair.x.retained(storage_eps)
    if not x.rank:
        return centred_map(pair, 0.0 * pair.xy.T, 0, 1.0)
    xp = namespace(pair.xy)
    whitening = x.whitening()
    # In whitened coordinates of X the least-squares map is this product itself, and its best approximation
    # of rank r keeps the r leading singular values.
    U, S, Zt = xp.linalg.svd(whitening.T @ pair.xy, full_matrices=False)
    kept = min(rank, int(S.shape[0]))
    # The whitening on the right brings the map back to the coordinates of X.
    W = (Zt[:kept, :].T * S[None, :kept]) @ (U[:, :kept].T @ whitening.T)
    return centred_map(pair, W, kept, x.condition)


def _fit(pair: PairMoments, rank: float | None, storage_eps: StorageEps) -> AffineMap:
    chosen = LOW_RANK if rank is None else int(rank)
    return fit_low_rank(pair, rank=chosen, storage_eps=by_side(storage_eps)[0])


LOW_RANK_MAPS = Family(
    name="low_rank",
    label="Low-rank matching",
    map_is="the best affine map of at most the given rank from the source",
    fit=_fit,
    parameter=Parameter(
        symbol="r",
        meaning="the largest rank of the map",
        value=LOW_RANK,
        largest=inf,
        label="rank {:g}",
        whole=True,
    ),
    source_invariances=LINEAR,
    cost="O(p·q·(p + q)), and O(p³) once per source",
    literature="Izenman 1975",
)
