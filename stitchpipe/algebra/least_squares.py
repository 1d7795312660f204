"""Least-squares maps from moments: unrestricted, with a ridge penalty, of low rank.

All three invert the same thing, the source's directions above the noise of storage (`Spectrum.retained`), and say
how many there were and how they are conditioned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.maps import AffineMap
from stitchpipe.algebra.penalty import RIDGE, PenalisedSide
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from stitchpipe.algebra.summaries import PairMoments

LOW_RANK = 8
"""The default rank of a low-rank map: half of the narrowest stage of a CIFAR ResNet, so that it binds everywhere."""


def fit_direct_matching(pair: PairMoments, *, storage_eps: float = EPS64) -> AffineMap:
    """Return argmin over (W, b) of Σ‖W xᵢ + b − yᵢ‖², of all minimisers the one with the smallest ‖W‖_F.

    W = YX · V Λ⁻¹ Vᵀ over the retained directions of X (`Spectrum.retained`), b = mean_y − W·mean_x. A layer
    matched with itself gets the projector on its row space: the identity where no direction is dead.

    Parameters
    ----------
    pair
        Moments of the rows to fit on.
    storage_eps
        Spacing at 1 of the dtype in which the source was kept: directions below its noise are not used.

    Notes
    -----
    Defined for any input: a constant source gives W = 0 with rank 0. Time O(p²·q), and O(p³) once per source;
    memory O(p² + p·q). The error of W is about eps·cond²: 1e-8 at cond 1e4, 1e-4 at 1e6.
    Balogh and Jelasity 2025, arXiv 2412.11299 (direct matching).
    """
    x = pair.x.retained(storage_eps)
    W = ((pair.xy.T @ x.vectors) / x.values[None, :]) @ x.vectors.T
    return centred_map(pair, W, x.rank, x.condition)


def fit_ridge(pair: PairMoments, *, ridge: float = RIDGE, storage_eps: float = EPS64) -> AffineMap:
    """Return argmin over (W, b) of Σ‖W xᵢ + b − yᵢ‖² + λ·‖X̃‖²_F·‖W‖²_F; the shift b is not penalised.

    W = YX · V (Λ + λ·tr XX)⁻¹ Vᵀ over the retained directions, so that λ → 0 gives `fit_direct_matching`. λ = `ridge`
    is in units of the source's total variance: the fit does not depend on the scale of either side.

    Notes
    -----
    The map's condition is √((λ_max + penalty)/(λ_min + penalty)), at most √(1 + 1/λ), and its error about eps times
    the square of that. Defined, timed and cut off as `fit_direct_matching`. Hoerl and Kennard 1970.
    """
    x = PenalisedSide.of(pair.x, pair.x.retained(storage_eps), ridge)
    vectors, values = x.directions.vectors, x.directions.values
    W = ((pair.xy.T @ vectors) / (values + x.penalty)[None, :]) @ vectors.T
    return centred_map(pair, W, x.directions.rank, x.condition)


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
    U, S, Zt = xp.linalg.svd(whitening.T @ pair.xy, full_matrices=False)
    kept = min(rank, int(S.shape[0]))
    W = (Zt[:kept, :].T * S[None, :kept]) @ (U[:, :kept].T @ whitening.T)
    return centred_map(pair, W, kept, x.condition)


def centred_map(pair: PairMoments, W: Array, rank: int, condition: float) -> AffineMap:
    """Return the map with these weights that takes the mean of the source to the mean of the target."""
    return AffineMap(W, pair.mean_y - W @ pair.mean_x, rank, condition)
