"""The permutation null of a cosine of Grams in closed form: its mean, deviation and skewness, without permuting.

CKA is an inner product ⟨A, B⟩ of two symmetric matrices over images whose rows sum to zero, each scaled to norm 1.
Under a uniformly random order of the images its mean and variance follow from a few numbers of each matrix, which
linear CKA needs anyway, so that every pair of layers has an effect size however many images there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.certainty.shared_images import SUMS, third_moment
from stitchpipe.algebra.errors import RowsError
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from typing import Self

    from stitchpipe.algebra.moments import PairMoments

Float64: TypeAlias = npt.NDArray[np.float64]

LEAST_IMAGES: Final = 4
EXACT, SPECTRAL = 3, 2
"""How many moments of a null are exact: all three, or the third is the one that it tends to with ever more images."""
FAR: Final = 6.0
"""Standard errors from which on a permuted null and the closed form are told to disagree: two chances in 10⁹ of one."""

_FLAT = 1e-4  # a skewness below which the tail is that of the normal distribution


@dataclass(frozen=True, eq=False)
class GramSums:
    """Sums over the centred linear Gram of layers, scaled to trace 1: what moments say of it. Arrays of one shape.

    Attributes
    ----------
    n
        Images: one row each.
    squares, cubes
        tr K² and tr K³.
    diagonal
        Σ Kᵢᵢ².
    """

    n: int
    squares: Float64
    cubes: Float64
    diagonal: Float64

    @classmethod
    def of_pair(cls, pair: PairMoments) -> tuple[Self, Self] | None:
        """Return those of both sides; None where norms of rows were not accumulated, or a side does not vary."""
        norms = pair.norm_products
        if norms is None or not (pair.x.total > 0.0 and pair.y.total > 0.0):
            return None
        sides = ((pair.x, norms.xx), (pair.y, norms.yy))
        x, y = (
            cls(
                pair.n,
                np.asarray(side.inverse_participation),
                np.asarray(side.third_participation),
                np.asarray(squares / side.total / side.total),
            )
            for side, squares in sides
        )
        return x, y

    def at(self, places: Any) -> Self:
        """Return those of some layers, by any index of the arrays."""
        return replace(
            self, squares=self.squares[places], cubes=self.cubes[places], diagonal=self.diagonal[places]
        )

    @property
    def centred(self) -> NullSums:
        """Of the doubly centred Gram, scaled to norm 1."""
        n, size = self.n, np.sqrt(self.squares)
        spread = self.squares - 1.0 / (n - 1)
        return NullSums.known(
            n,
            trace=1.0 / size,
            spread=spread / self.squares,
            diagonal=np.clip(self.diagonal - 1.0 / n, 0.0, None) / self.squares,
            asymmetry=self._traceless_cubes() / np.where(spread > 0.0, spread, np.nan) ** 1.5,
        )

    @property
    def hollow(self) -> NullSums:
        """Of the U-centred Gram, which has no diagonal, scaled to norm 1; its asymmetry is taken for the Gram's own."""
        none, own = np.zeros_like(self.squares), self.centred
        return NullSums.known(self.n, trace=none, spread=none + 1.0, diagonal=none, asymmetry=own.asymmetry)

    def _traceless_cubes(self) -> Float64:
        """Return tr(K − H/(n − 1))³ with H = I − 11ᵀ/n: what is left when the trace is spread over all directions."""
        n = self.n
        return self.cubes - 3.0 * self.squares / (n - 1) + 2.0 / (n - 1) ** 2


@dataclass(frozen=True, eq=False)
class NullSums:
    """What a permutation null needs of either matrix: symmetric, rows that sum to zero, norm 1. Arrays of one shape.

    With T its trace, A' = A − T/(n − 1)·(I − 11ᵀ/n) has rows and a trace that sum to zero, and ⟨A, PᵀBP⟩ is
    ⟨A', PᵀB'P⟩ + T_A·T_B/(n − 1) for every order P: the second term is the mean, and the first one varies about it.

    Attributes
    ----------
    n
        Images.
    trace
        T.
    spread
        ‖A'‖²_F = 1 − T²/(n − 1); NaN where it is not above rounding, because then no order differs from another.
    diagonal
        Σ A'ᵢᵢ².
    asymmetry
        tr A'³/‖A'‖³_F, between −1 and 1.
    sums
        ``[..., 5]``, the `SUMS` of A' that the third moment needs; None where only moments of rows were at hand.
    """

    n: int
    trace: Float64
    spread: Float64
    diagonal: Float64
    asymmetry: Float64
    sums: Float64 | None = None

    @classmethod
    def known(cls, n: int, *, trace: Float64, spread: Float64, diagonal: Float64, asymmetry: Float64) -> Self:
        """Return sums of layers; those of a layer whose spread is rounding are NaN."""
        is_spread = (spread > 64.0 * EPS64 * sqrt(n)) & (n >= LEAST_IMAGES)
        return cls(n, trace, np.where(is_spread, spread, np.nan), diagonal, asymmetry)

    @classmethod
    def of_matrix(cls, matrix: Any) -> Self:
        """Return those of one matrix ``[n, n]``, with all that the third moment needs. Time O(n³), memory O(n²)."""
        whole = np.asarray(matrix, np.float64)
        whole = whole / np.linalg.norm(whole)
        n, trace = len(whole), np.trace(whole)
        whole = whole - trace / (n - 1) * (np.eye(n) - 1.0 / n)
        diagonal, squares = np.diagonal(whole).copy(), whole * whole
        triangle = float(np.vdot(whole @ whole.T, whole))
        spread = squares.sum()
        # In the order of `SUMS`.
        sums = np.array(
            [
                (diagonal**3).sum(),
                diagonal @ squares.sum(axis=1),
                np.vdot(squares, whole),
                diagonal @ whole @ diagonal,
                triangle,
            ]
        )
        known = cls.known(
            n,
            trace=np.asarray(trace),
            spread=np.asarray(spread),
            diagonal=np.asarray(diagonal @ diagonal),
            asymmetry=np.asarray(triangle / spread**1.5),
        )
        return replace(known, sums=sums)

    @classmethod
    def of_numbers(cls, n: int, numbers: Float64) -> Self:
        """Return what `numbers` was made of; ``[..., 9]``, NaN where a layer has none."""
        trace, spread, diagonal, asymmetry = np.moveaxis(numbers[..., : -len(SUMS)], -1, 0)
        return cls(n, trace, spread, diagonal, asymmetry, numbers[..., -len(SUMS) :])

    @property
    def numbers(self) -> Float64:
        """All of them side by side, ``[..., 9]``, where the sums are known."""
        if self.sums is None:
            raise ValueError("the sums of the third moment are not known")
        own = np.stack([self.trace, self.spread, self.diagonal, self.asymmetry], axis=-1)
        return np.concatenate([own, self.sums], axis=-1)

    def across(self, others: Self) -> tuple[Self, Self]:
        """Return these layers and others so that they broadcast to all pairs, ``[L, M]``; the sums must be known."""
        rows, columns = self.numbers[:, None], others.numbers[None, :]
        return self.of_numbers(self.n, rows), self.of_numbers(others.n, columns)


@dataclass(frozen=True, eq=False)
class ClosedNull:
    """Where the permutation null of pairs lies and what it looks like; arrays of their shape, NaN where there is none.

    Attributes
    ----------
    mean, deviation
        Over all n! orders, exactly.
    skewness
        Of all orders where `moments` is `EXACT`, of the limit of ever more images where it is `SPECTRAL`.
    moments
        How many are exact.
    """

    mean: Float64
    deviation: Float64
    skewness: Float64
    moments: int

    def effect_size(self, value: Float64) -> Float64:
        """Return z = (value − mean)/deviation: 0 on average for layers that have nothing in common."""
        return (value - self.mean) / self.deviation

    def p_value(self, value: Float64) -> Float64:
        """Return the share of orders that reach the value, of a Pearson III law with the three moments.

        That is a gamma distribution, moved, and mirrored where the skewness is negative: exact in the limit where both
        layers vary in one direction, and normal where the skewness is 0. Of a p far below 1/n trust the order of
        magnitude, not the digits. Josse, Pagès and Husson 2008.
        """
        from scipy.special import gammainc, gammaincc, ndtr  # noqa: PLC0415 - a quarter of a second, which no query should cost

        z, skewness = self.effect_size(value), self.skewness
        is_flat = np.abs(skewness) < _FLAT
        shape = 4.0 / np.where(is_flat, 1.0, skewness) ** 2
        # The law is (G − shape)/√shape with G of that gamma distribution: z at its start stands at G = 0.
        at = np.clip(shape + np.sign(skewness) * z * np.sqrt(shape), 0.0, None)
        tail = np.where(skewness > 0.0, gammaincc(shape, at), gammainc(shape, at))
        return np.asarray(np.where(is_flat, ndtr(-z), tail))

    def beside(self, value: Float64) -> dict[str, Float64]:
        """Return what this says of values, by the names of `stitchpipe.measures.EXTRAS`; NaN where it says nothing."""
        size = self.effect_size(value)
        return {
            "effect_size": size,
            "null_mean": np.where(np.isnan(size), np.nan, self.mean),
            "p_closed": self.p_value(value),
            "null_moments": np.where(np.isnan(size), np.nan, float(self.moments)),
        }

    def gap(self, null: Float64) -> Float64:
        """Return how far permuted values ``null [K, ...]`` lie from this, in standard errors of K draws.

        The larger of two: of their mean, and of their variance on a scale on which it is normal (cube roots), its
        error being that of a Pearson III law. Above `FAR` one of both is wrong, or three moments do not describe the
        null, as where a few images outweigh all others.
        """
        draws = len(null)
        mean = np.abs(null.mean(axis=0) - self.mean) / self.deviation * sqrt(draws)
        freedom = 2.0 * draws / (2.0 + 1.5 * self.skewness**2)
        ratio = np.mean((null - self.mean) ** 2, axis=0) / self.deviation**2
        spread = np.abs(np.cbrt(ratio) - (1.0 - 2.0 / (9.0 * freedom))) * np.sqrt(4.5 * freedom)
        return np.asarray(np.maximum(mean, spread))


def closed_null(x: NullSums, y: NullSums) -> ClosedNull:
    """Return the permutation null of ⟨A, B⟩, with sums of layers that broadcast against each other.

    With s = ‖A'‖², q = Σ A'ᵢᵢ² and v = n(n + 1)q − 2(n − 1)s of either side the mean is T_A·T_B/(n − 1) and the
    variance 2·s_A·s_B/((n + 1)(n − 2)) + v_A·v_B/((n + 1)n(n − 1)(n − 2)(n − 3)), exactly. Of U-centred Grams, s = 1
    and q = T = 0, that is 2/(n(n − 3)) whatever the layers. The third moment is exact where both sides have its sums
    (`third_moment`); otherwise the skewness is √8·(tr A'³/‖A'‖³)(tr B'³/‖B'‖³), that of the sum of χ² variables,
    weighted by products of eigenvalues, that the null tends to.

    Raises
    ------
    RowsError
        Layers on other numbers of images.

    Notes
    -----
    Time O(1) a pair. The variance loses digits as ‖A'‖² becomes small beside ‖A‖² = 1, where p ≫ n: about eps/s.
    Kazi-Aoual, Hitier, Sabatier and Lebreton 1995 (mean and variance); Gretton et al. 2009 (the limit).
    """
    if x.n != y.n:
        raise RowsError(
            where="closed-form null",
            expected="both layers on the same images",
            found=f"{x.n} and {y.n}",
            remedy="Take both from the same rows.",
        )
    n = x.n
    if n < LEAST_IMAGES:
        nothing = np.full(np.broadcast_shapes(x.trace.shape, y.trace.shape), np.nan)
        return ClosedNull(nothing, nothing, nothing, SPECTRAL)
    mean = x.trace * y.trace / (n - 1)
    beyond = [n * (n + 1) * side.diagonal - 2.0 * (n - 1) * side.spread for side in (x, y)]
    variance = 2.0 * x.spread * y.spread / ((n + 1) * (n - 2))
    variance = variance + beyond[0] * beyond[1] / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    deviation = np.sqrt(np.where(variance > 0.0, variance, np.nan))
    if x.sums is None or y.sums is None:
        return ClosedNull(mean, deviation, sqrt(8.0) * x.asymmetry * y.asymmetry, SPECTRAL)
    return ClosedNull(mean, deviation, third_moment(n, x.sums, y.sums) / deviation**3, EXACT)
