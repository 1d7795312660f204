"""Fitted affine maps between representations, and how well they do on other rows or moments."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.algebra.guards import variation
from stitchpipe.algebra.inputs import Array, Products, as_rows, demand_paired, namespace
from stitchpipe.algebra.moments import CentredRows, PairMoments
from stitchpipe.algebra.spectrum import EPS64

FAR_ABOVE = 1e6
"""How far above its rounding floor a residual is taken as it comes; see DESIGN.md, "Residuals where traces cancel"."""
_BLOCK_ROWS = 1024  # a block of predictions stays in the cache


@dataclass(frozen=True)
class Residual:
    """A sum of squared residuals, and the rounding ``floor`` below which its digits mean nothing."""

    sum_of_squares: float
    floor: float


@dataclass(frozen=True, eq=False)
class AffineMap:
    """ŷ = W x + b.

    Attributes
    ----------
    W
        ``[q, p]``.
    b
        ``[q]``.
    rank
        How many directions of the source the fit used.
    condition
        σ_max/σ_min of the source over those directions; 1.0 where there are none.
    """

    W: Array
    b: Array
    rank: int
    condition: float

    @property
    def p(self) -> int:
        """Width of the source."""
        return int(self.W.shape[1])

    @property
    def q(self) -> int:
        """Width of the target."""
        return int(self.W.shape[0])

    def predict(self, X: Array) -> Array:
        """Return ``X Wᵀ + b``, ``[n, q]`` float64. Raises RowsError, MomentsError (other width)."""
        X = as_rows(X, "X")
        self._check_widths(X.shape[1], self.q)
        return X @ self.W.T + self.b[None, :]

    def r2(self, X: Array, Y: Array, *, products: Products = "float64") -> float:
        """Return R² = 1 − ‖Ŷ − Y‖²_F / ‖Y − Ȳ‖²_F, variance-weighted over outputs, about the mean of this Y.

        At most 1, and below 0 where the map does worse than that mean. Time O(n·p·q); `products` is as of `cka`.

        Raises
        ------
        RowsError, MomentsError
            Unusable arrays, other widths.
        UndefinedIndexError
            ``constant`` or ``too_few_rows``: Y does not vary.
        """
        x, y = self._centred(X, Y, products)
        total = variation(y, index="dm_r2", side="target") ** 2
        return 1.0 - self._squares_of_rows(x, y) / total

    def struct_error(self, X: Array, Y: Array, *, products: Products = "float64") -> float:
        """Return ‖Ŷ − Y‖²_F / ‖Y‖²_F, uncentred, as Balogh and Jelasity (2025) report it; ≥ 0.

        Not comparable between targets: a target with a large mean has a small error. Raises as `r2`, with
        ``constant`` only where Y is zero.
        """
        x, y = self._centred(X, Y, products)
        return self._squares_of_rows(x, y) / _nonzero(y.total + y.n * _squares(y.mean))

    def _centred(self, X: Array, Y: Array, products: Products) -> tuple[CentredRows, CentredRows]:
        x, y = CentredRows.of(X, "X", products=products), CentredRows.of(Y, "Y", products=products)
        demand_paired(x.centred, y.centred)
        self._check_widths(x.width, y.width)
        return x, y

    def _squares_of_rows(self, x: CentredRows, y: CentredRows) -> float:
        """Return Σ‖W x + b − y‖²: that of the centred rows, and n times that of the means."""
        xp = namespace(self.W, x.centred)
        # In the units of the centred target, in which squares fit into either type.
        W = xp.astype(self.W * (x.unit / y.unit), x.centred.dtype, copy=False)
        total = 0.0
        for first in range(0, x.n, _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            left = x.centred[block] @ W.T
            left -= y.centred[block]
            total += float(xp.sum(xp.linalg.vecdot(left, left), dtype=xp.float64))
        offset = self.W @ x.mean + self.b - y.mean
        return total * y.unit**2 + x.n * _squares(offset)

    def residual_from_moments(self, pair: PairMoments) -> Residual:
        """Return Σ‖W x + b − y‖² over the rows that `pair` summarises; never negative.

        With e = W·mean_x + b − mean_y it is tr(W·XX·Wᵀ) − 2·tr(W·XY) + tr(YY) + n‖e‖². The first three terms
        may cancel: each is known to about eps times Σ_k(Σ_j|W_kj|·‖x̃_j‖ + ‖ỹ_k‖)², the ``floor``. Unless their
        sum is far above it, the residuals' comoments are formed and their positive eigenvalues summed
        (`_positive_spread`), which has no more digits but keeps its sign. Time O(p²·q), there O(q³) beside that.
        """
        self._check_widths(pair.mean_x.shape[0], pair.mean_y.shape[0])
        xp = namespace(self.W, pair.xy)
        size_x, size_y = _column_norms(pair.xx), _column_norms(pair.yy)
        # The norms of columns bound every term of the three traces, and so the rounding of their sum.
        floor = EPS64 * _squares(xp.abs(self.W) @ size_x + size_y)
        spread = float(xp.sum((self.W @ pair.xx) * self.W)) - 2.0 * float(xp.sum(self.W * pair.xy.T))
        spread += pair.y.total
        # A good fit leaves three large traces that nearly cancel, and their difference could even come out
        # negative.
        if spread <= FAR_ABOVE * floor:
            spread = self._positive_spread(pair)
        offset = self.W @ pair.mean_x + self.b - pair.mean_y
        return Residual(spread + pair.n * _squares(offset), floor)

    def _positive_spread(self, pair: PairMoments) -> float:
        """Return the sum of the positive eigenvalues of the residuals' comoments, W·XX·Wᵀ − W·XY − (W·XY)ᵀ + YY.

        Comoments have no negative eigenvalues; those that come out negative are rounding of zero. Time O(p²·q + q³).
        """
        xp = namespace(self.W, pair.xy)
        explained = self.W @ pair.xy
        comoment = self.W @ pair.xx @ self.W.T - explained - explained.T + pair.yy
        values = xp.linalg.eigvalsh(0.5 * (comoment + comoment.T))
        return float(xp.sum(xp.clip(values, 0.0, None)))

    def r2_from_moments(self, pair: PairMoments, residual: Residual | None = None) -> float:
        """Return R² on the rows that `pair` summarises, as `r2`; needs no second pass over them.

        Pass the `residual` (`residual_from_moments`) where it is at hand.
        """
        total = variation(pair.y, index="dm_r2", side="target") ** 2
        residual = self.residual_from_moments(pair) if residual is None else residual
        return 1.0 - residual.sum_of_squares / total

    def struct_error_from_moments(self, pair: PairMoments, residual: Residual | None = None) -> float:
        """Return the structural error on the rows that `pair` summarises, as `struct_error`."""
        squares = _nonzero(pair.y.total + pair.n * _squares(pair.mean_y))
        residual = self.residual_from_moments(pair) if residual is None else residual
        return residual.sum_of_squares / squares

    def _check_widths(self, p: int, q: int) -> None:
        if (p, q) != (self.p, self.q):
            raise MomentsError(
                where="affine map",
                expected=f"a source of width {self.p} and a target of width {self.q}",
                found=f"widths {p} and {q}",
                remedy="Apply the map to the layers and the view it was fitted on.",
            )


def centred_map(pair: PairMoments, W: Array, rank: int, condition: float) -> AffineMap:
    """Return the map with these weights that takes the mean of the source to the mean of the target."""
    return AffineMap(W, pair.mean_y - W @ pair.mean_x, rank, condition)


def _column_norms(comoment: Array) -> Array:
    """Return the norm of every centred column, from their sums of products."""
    xp = namespace(comoment)
    return xp.sqrt(xp.clip(xp.linalg.diagonal(comoment), 0.0, None))


def _squares(array: Array) -> float:
    xp = namespace(array)
    return float(xp.sum(array * array))


def _nonzero(squares: float) -> float:
    if not sqrt(squares):
        raise UndefinedIndexError(
            status="constant",
            where="dm_struct",
            expected="a target that is not zero everywhere",
            found="only zeros",
            remedy="Leave this layer out, or look for dead units.",
        )
    return squares
