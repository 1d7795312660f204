"""Affine maps of least squares with a ridge penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.maps.affine_map import AffineMap, centred_map
from stitchpipe.algebra.maps.family import Family
from stitchpipe.algebra.penalty import RIDGE, PenalisedSide, ridge_parameter
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.measures import ISOTROPIC

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


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
    # In the eigenvectors of XX the penalty only adds to the eigenvalues, so no system is solved.
    W = ((pair.xy.T @ vectors) / (values + x.penalty)[None, :]) @ vectors.T
    return centred_map(pair, W, x.directions.rank, x.condition)


def _fit(pair: PairMoments, ridge: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_ridge(pair, ridge=RIDGE if ridge is None else ridge, storage_eps=by_side(storage_eps)[0])


RIDGE_MAPS = Family(
    name="ridge",
    label="Ridge matching",
    map_is="the affine map from the source fitted with a ridge penalty",
    fit=_fit,
    parameter=ridge_parameter("the source"),
    source_invariances=ISOTROPIC,
    cost="O(p²·q), and O(p³) once per source",
    literature="Hoerl and Kennard 1970",
)
