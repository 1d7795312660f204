"""The Procrustes rotation as a map: orthogonal up to a scale and a shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.inputs import namespace
from stitchpipe.algebra.maps.affine_map import AffineMap, centred_map
from stitchpipe.algebra.maps.family import Family
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.measures import ISOTROPIC

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


def fit_orthogonal(pair: PairMoments, *, storage_eps: StorageEps = EPS64) -> AffineMap:
    """Return ŷ = s·Q·x + b with Q the orthogonal Procrustes rotation of X to Y, and the best scale and shift for it.

    With U S Zᵀ the singular values of XY, Q = Z Uᵀ ``[q, p]`` and s = ΣS/tr(Q·XX·Qᵀ). For p = q this is the best
    similarity transformation in the sense of least squares. Where the widths differ Q is a partial isometry: the
    solution of the problem in which the narrower side is padded with zero columns, as `procrustes` understands it, so
    that the map and the distance belong together. For p > q, minimising over semi-orthogonal Q directly is another
    problem, which has no closed form (Eldén and Park 1999).

    Parameters
    ----------
    pair
        Moments of the rows to fit on.
    storage_eps
        Spacing at 1 of the dtype in which either side was kept: Q is 0 outside of the directions above its noise,
        where a rotation would be arbitrary.

    Notes
    -----
    For p ≤ q and no dead direction, R² on the rows of the fit is the squared cosine of `procrustes_angle`. The map's
    rank is that of Q, its condition S₁/S_r: nothing is inverted, but the error of Q is about eps·S₁/(S_r + S_{r−1}).
    Defined for any input: W = 0 with rank 0 where the sides share nothing. Time O(p·q·(p + q)), and O(p³ + q³) once
    per side. Schönemann 1966; Schönemann and Carroll 1970 (scale and shift).
    """
    xp = namespace(pair.xy)
    eps_x, eps_y = by_side(storage_eps)
    x, y = pair.x.retained(eps_x), pair.y.retained(eps_y)
    if not (x.rank and y.rank):
        return centred_map(pair, 0.0 * pair.xy.T, 0, 1.0)
    U, S, Zt = xp.linalg.svd(x.vectors.T @ pair.xy @ y.vectors, full_matrices=False)
    # A direction that the two sides do not share has a singular value of rounding alone, and its rotation
    # would be arbitrary.
    noise = 4.0 * max(pair.xy.shape) * EPS64 * float(xp.sqrt(x.values[0] * y.values[0]))
    rank = int(xp.sum(xp.astype(noise < S, xp.int64)))
    if not rank:
        return centred_map(pair, 0.0 * pair.xy.T, 0, 1.0)
    U, S, Zt = U[:, :rank], S[:rank], Zt[:rank, :]
    # In the retained directions XX is diagonal with the eigenvalues λ, so tr(Q·XX·Qᵀ) is Σλᵢ·Uᵢⱼ² over the
    # columns kept.
    spread = float(xp.sum(x.values[:, None] * U * U))
    # U and Z are relative to the retained directions; the eigenvectors take Q = Z Uᵀ back to the neurons of
    # both sides.
    rotation = (y.vectors @ Zt.T) @ (x.vectors @ U).T
    return centred_map(pair, (float(xp.sum(S)) / spread) * rotation, rank, float(S[0]) / float(S[-1]))


def _fit(pair: PairMoments, _: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_orthogonal(pair, storage_eps=storage_eps)


ORTHOGONAL = Family(
    name="orthogonal",
    label="Orthogonal matching",
    map_is="the Procrustes rotation of the source (a partial isometry where widths differ), scaled and shifted,",
    fit=_fit,
    source_invariances=ISOTROPIC,
    cost="O(p·q·(p + q)), and O(p³) once per side",
    literature="Schönemann 1966; Schönemann and Carroll 1970",
)
