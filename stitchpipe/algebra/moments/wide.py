"""Rows wider than there are rows: an isometry onto at most n coordinates.

Inner products of centred rows do not change under it, so every index that is invariant to rotation is the
same number, at O(n²·p) instead of O(n·p²) time and O(n·p) instead of O(p²) memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from stitchpipe.algebra.inputs import Array, namespace, paired_rows
from stitchpipe.algebra.moments.centring import centre
from stitchpipe.algebra.moments.pair import PairMoments


@dataclass(frozen=True, eq=False)
class Narrowed:
    """``rows [n, p] = mean + coordinates [n, r] · basisᵀ``, with orthonormal ``basis [p, r]``, r ≤ n."""

    mean: Array
    coordinates: Array
    basis: Array


def narrow(rows: Array) -> Narrowed | None:
    """Return float64 `rows` in r = n coordinates, or None where they are not wider than that.

    QR of the transposed centred rows, which does not square their condition.
    """
    if rows.shape[1] <= rows.shape[0]:
        return None
    xp = namespace(rows)
    mean, centred = centre(rows)
    # X̃ᵀ = QR gives X̃ = RᵀQᵀ, so the rows of Rᵀ are the coordinates in the basis Q.
    basis, triangle = xp.linalg.qr(centred.T)
    return Narrowed(mean, triangle.T, basis)


def rotated_moments(X: Array, Y: Array) -> PairMoments:
    """Return moments that every rotation-invariant index may be computed from, however wide the rows.

    Not for PWCCA, whose weights belong to the neurons. Raises RowsError, MomentsError.
    """
    X, Y = paired_rows(X, Y)
    narrow_x, narrow_y = narrow(X), narrow(Y)
    return PairMoments.from_rows(
        X if narrow_x is None else narrow_x.coordinates,
        Y if narrow_y is None else narrow_y.coordinates,
    )
