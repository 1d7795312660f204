"""Direct matching: the affine map of least squares from one representation to another."""

from __future__ import annotations

from stitchpipe.algebra.inputs import Array, paired_rows, stored_spacing
from stitchpipe.algebra.maps import AffineMap
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.algebra.summaries import PairMoments
from stitchpipe.algebra.wide import narrow


def fit_direct_matching(pair: PairMoments, *, storage_eps: float = EPS64) -> AffineMap:
    """Return argmin over (W, b) of Σ‖W xᵢ + b − yᵢ‖², of all minimisers the one with the smallest ‖W‖_F.

    W = YX · V Λ⁻¹ Vᵀ over the retained directions of X (`Spectrum.retained`), b = mean_y − W·mean_x. A layer
    matched with itself gets the projector on its row space: the identity where no direction is dead.

    Parameters
    ----------
    pair
        Moments of the rows to fit on.
    storage_eps
        Spacing at 1 of the dtype in which the rows were kept: directions below its noise are not used.

    Notes
    -----
    Defined for any input: a constant source gives W = 0 with rank 0. Time O(p³ + p²·q), memory O(p² + p·q).
    The error of W is about eps·cond²: 1e-9 at cond 1e4, 1e-5 at 1e6.
    Balogh and Jelasity 2025, arXiv 2412.11299 (direct matching).
    """
    x = pair.x.retained(storage_eps)
    W = ((pair.xy.T @ x.vectors) / x.values[None, :]) @ x.vectors.T
    return AffineMap(W, pair.mean_y - W @ pair.mean_x, x.rank, x.condition)


def direct_matching(X: Array, Y: Array, *, storage_eps: float | None = None) -> AffineMap:
    """Fit the least-squares map from ``X [n, p]`` to ``Y [n, q]``, as `fit_direct_matching`.

    Rows wider than n are first expressed in n coordinates, which leaves the minimum-norm solution as it is.
    Score the map on rows it has not seen (`AffineMap.r2`, `AffineMap.struct_error`).
    `storage_eps` is the spacing at 1 of the dtype X was kept in; by default, of the dtype it has.

    Raises
    ------
    RowsError
        Unusable arrays.
    MomentsError
        Their squares overflow.

    Notes
    -----
    Time O(n·p·min(n, p) + n·p·q), memory O(n·(p + q) + p·q).
    """
    storage_eps = stored_spacing(X) if storage_eps is None else storage_eps
    X, Y = paired_rows(X, Y)
    narrow_x, narrow_y = narrow(X), narrow(Y)
    pair = PairMoments.from_rows(
        X if narrow_x is None else narrow_x.coordinates,
        Y if narrow_y is None else narrow_y.coordinates,
    )
    fitted = fit_direct_matching(pair, storage_eps=storage_eps)
    W, mean_x, mean_y = fitted.W, pair.mean_x, pair.mean_y
    if narrow_x is not None:
        W, mean_x = W @ narrow_x.basis.T, narrow_x.mean
    if narrow_y is not None:
        W, mean_y = narrow_y.basis @ W, narrow_y.mean
    return AffineMap(W, mean_y - W @ mean_x, fitted.rank, fitted.condition)
