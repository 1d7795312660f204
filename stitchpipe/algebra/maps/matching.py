"""Direct matching of rows: the map of a family, from arrays."""

from __future__ import annotations

from typing import Literal

from stitchpipe.algebra.errors import RowsError
from stitchpipe.algebra.inputs import Array, Products, stored_spacing
from stitchpipe.algebra.maps.affine_map import AffineMap
from stitchpipe.algebra.maps.families import fit_map
from stitchpipe.algebra.maps.triangular import JointFactor
from stitchpipe.algebra.moments import PairMoments, centred_pair
from stitchpipe.algebra.spectrum import EPS64


def direct_matching(
    X: Array,
    Y: Array,
    *,
    family: str = "affine",
    parameter: float | None = None,
    solver: Literal["moments", "tsqr"] = "moments",
    storage_eps: float | None = None,
    products: Products = "float64",
) -> AffineMap:
    """Fit a map from ``X [n, p]`` to ``Y [n, q]``: by default that of least squares, `fit_direct_matching`.

    Rows wider than n + 1 are first expressed in n + 1 coordinates, which leaves the minimum-norm solution as it is.
    Score the map on rows it has not seen (`AffineMap.r2`, `AffineMap.struct_error`).

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y.
    family, parameter
        Which maps are admitted, and λ or the rank, see `fit_map`.
    solver
        ``moments``: eigenvectors of float64 moments, with an error of eps·cond². ``tsqr``: a triangular factor,
        with an error of eps·cond where the map explains the target; affine maps of float64 rows only, about twice the
        time. Blocks that do not fit into memory go through `JointFactor`.
    storage_eps
        Spacing at 1 of the dtype the rows were kept in; by default, of the dtype they have.
    products
        As of `cka`; ``tsqr`` has float64 only.

    Raises
    ------
    RowsError
        Unusable arrays, or rows of less than float64 for ``tsqr``.
    MomentsError
        Their squares overflow.
    UnknownNameError
        No such family.

    Notes
    -----
    Time O(n·p·min(n, p) + n·p·q), memory O(n·(p + q) + p·q).
    """
    eps = (stored_spacing(X), stored_spacing(Y)) if storage_eps is None else (storage_eps, storage_eps)
    if solver == "tsqr":
        return _by_factor(X, Y, family, eps[0])
    x, y = centred_pair(X, Y, products=products)
    fitted = fit_map(family, PairMoments.of(x, y), parameter=parameter, storage_eps=eps)
    W, mean_x, mean_y = fitted.W, x.mean, y.mean
    if x.neurons is not None:
        # The map was fitted to coordinates z with x = B·z, so z = Bᵀx is what W takes.
        W, mean_x = W @ x.neurons.basis.T, x.neurons.mean
    if y.neurons is not None:
        # The predictions are coordinates of Y, and its basis takes them back to the neurons.
        W, mean_y = y.neurons.basis @ W, y.neurons.mean
    return AffineMap(W, mean_y - W @ mean_x, fitted.rank, fitted.condition)


def _by_factor(X: Array, Y: Array, family: str, storage_eps: float) -> AffineMap:
    if family != "affine" or max(stored_spacing(X), stored_spacing(Y)) > EPS64:
        raise RowsError(
            where="solver 'tsqr'",
            expected="an affine map of float64 rows",
            found=f"family {family!r}, rows of spacing {max(stored_spacing(X), stored_spacing(Y)):.1e}",
            remedy="Use solver='moments': rounding at storage costs more than it does.",
        )
    return JointFactor.from_block(X, Y).fit(storage_eps=storage_eps)
