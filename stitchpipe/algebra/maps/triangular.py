"""Least squares from a mergeable triangular factor (TSQR): the data's condition is not squared.

Twice the work of moments, and no gain for what was stored in less than float64; the way to go for float64 data of
condition above about 1e6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import sqrt
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import MomentsError, RowsError
from stitchpipe.algebra.inputs import Array, namespace, paired_rows
from stitchpipe.algebra.maps.affine_map import AffineMap
from stitchpipe.algebra.moments import centre, triangle
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROUNDING = (
    4.0  # singular values that should be 0 were seen up to 1.3·√p·eps·max(s_max, √n·mean) (n ≤ 20,000)
)


@dataclass(frozen=True, eq=False)
class JointFactor:
    """A factor of paired rows ``[X, Y]``, both centred: ``factorᵀ·factor`` is their joint comoment.

    Attributes
    ----------
    n
        Number of rows.
    mean
        ``[p + q]``.
    factor
        ``[m, p + q]`` with m = min(n, p + q) or less; upper triangular.
    p
        Width of X, the first columns.
    """

    n: int
    mean: Array
    factor: Array
    p: int

    @classmethod
    def from_block(cls, X: Array, Y: Array) -> JointFactor:
        """Factor the rows of one block. Time O(n·(p + q)²). Raises RowsError."""
        X, Y = paired_rows(X, Y)
        mean, centred = centre(namespace(X, Y).concat([X, Y], axis=1))
        return cls(X.shape[0], mean, triangle(centred), X.shape[1])

    @classmethod
    def from_blocks(cls, blocks: Iterable[tuple[Array, Array]]) -> JointFactor:
        """Factor paired rows block by block: memory O((p + q)²) beside one block.

        Raises RowsError, also where there is no block; MomentsError where widths differ.
        """
        factors = (cls.from_block(X, Y) for X, Y in blocks)
        first = next(factors, None)
        if first is None:
            raise RowsError(
                where="blocks", expected="at least one pair of arrays", found="none", remedy="Pass the rows."
            )
        return reduce(cls.merge, factors, first)

    def merge(self, other: JointFactor) -> JointFactor:
        """Return the factor of both sets of rows together. Time O((p + q)³).

        What both means differ by is one more row, √(n₁n₂/(n₁ + n₂))·(μ₁ − μ₂), of the stacked factors: the
        triangular counterpart of the merge of moments by Chan et al. (1983).
        """
        if (self.p, self.mean.shape) != (other.p, other.mean.shape):
            raise MomentsError(
                where="triangular factors",
                expected=f"widths {self.p} and {self.mean.shape[0] - self.p}",
                found=f"widths {other.p} and {other.mean.shape[0] - other.p}",
                remedy="Merge only factors of the same columns.",
            )
        n = self.n + other.n
        step = other.mean - self.mean
        # The step between the means becomes one more row, whose square is the n₁n₂/n·δδᵀ of merged moments.
        between = sqrt(self.n * other.n / n) * step[None, :]
        stacked = namespace(step).concat([self.factor, other.factor, between])
        return JointFactor(n, self.mean + step * (other.n / n), triangle(stacked), self.p)

    def fit(self, *, storage_eps: float = EPS64) -> AffineMap:
        """Return the least-squares map of smallest norm from X to Y, as `fit_direct_matching`.

        With R the first p columns of the factor and R = U S Vᵀ, W = (V S⁻¹ Uᵀ·F)ᵀ for the other columns F, over
        singular values above max(4·√p·eps64, storage_eps)·max(s_max, √n·max_j abs(mean_j)): rounding moves a value by
        eps times its size, mean included.

        Notes
        -----
        Time O((p + q)·p²). The error of W is about eps·cond, plus eps·cond² times the share that no map explains:
        for a target that is a map of the source 1e-13 at cond 1e4 and 1e-11 at 1e6, where moments have 1e-8 and 1e-4.
        Demmel, Grigori, Hoemmen and Langou 2012 (TSQR); Golub and Van Loan 2013, §5.3.
        """
        xp = namespace(self.factor)
        # The first p columns of the joint triangle hold all of X: RᵀR is XX. Their singular values are had
        # without squaring them, which is why the error goes with cond and not with cond².
        U, S, Vt = xp.linalg.svd(self.factor[:, : self.p], full_matrices=False)
        mean = self.mean[: self.p]
        size = max(float(S[0]), sqrt(self.n) * float(xp.max(xp.abs(mean))))
        cut = max(_ROUNDING * sqrt(self.p) * EPS64, storage_eps) * size
        rank = int(xp.sum(xp.astype(cut < S, xp.int64)))
        U, S, Vt = U[:, :rank], S[:rank], Vt[:rank, :]
        W = ((self.factor[:, self.p :].T @ U) / S[None, :]) @ Vt
        condition = float(S[0]) / float(S[-1]) if rank else 1.0
        return AffineMap(W, self.mean[self.p :] - W @ mean, rank, condition)

    def residual(self, fitted: AffineMap) -> float:
        """Return Σ‖W x + b − y‖² over these rows, as ‖factor·[W, −I]ᵀ‖²_F + n‖W·mean_x + b − mean_y‖²."""
        xp = namespace(self.factor)
        left = self.factor[:, : self.p] @ fitted.W.T - self.factor[:, self.p :]
        offset = fitted.W @ self.mean[: self.p] + fitted.b - self.mean[self.p :]
        return float(xp.sum(left * left)) + self.n * float(offset @ offset)
