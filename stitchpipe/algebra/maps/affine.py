"""The affine map of least squares: direct matching as the literature has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.maps.affine_map import AffineMap, centred_map
from stitchpipe.algebra.maps.family import Family
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.measures import LINEAR

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


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
    # The product goes from the left, so that nothing of size p×p is formed beside the eigenvectors.
    W = ((pair.xy.T @ x.vectors) / x.values[None, :]) @ x.vectors.T
    return centred_map(pair, W, x.rank, x.condition)


def _fit(pair: PairMoments, _: float | None, storage_eps: StorageEps) -> AffineMap:
    return fit_direct_matching(pair, storage_eps=by_side(storage_eps)[0])


AFFINE = Family(
    name="affine",
    label="Direct matching",
    map_is="the affine least-squares map from the source",
    fit=_fit,
    source_invariances=LINEAR,
    cost="O(p²·q), and O(p³) once per source",
    literature="Balogh and Jelasity 2025",
)
