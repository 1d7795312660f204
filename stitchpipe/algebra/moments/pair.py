"""All that the indices need to know of two paired representations, and how it is assembled from merged moments."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.inputs import Array, Products, as_rows, demand_paired, namespace
from stitchpipe.algebra.moments.checks import overflow, same_widths
from stitchpipe.algebra.moments.rows import CentredRows, centred_pair

if TYPE_CHECKING:
    from stitchpipe.algebra.moments.cross import CrossMoments
    from stitchpipe.algebra.moments.own import Moments
    from stitchpipe.algebra.spectrum import Spectrum


@dataclass(frozen=True)
class NormProducts:
    """Σᵢ kᵢ², Σᵢ kᵢlᵢ and Σᵢ lᵢ² of the squared norms kᵢ = ‖x̃ᵢ‖², lᵢ = ‖ỹᵢ‖² of the centred rows.

    What debiased CKA needs beyond means and covariances.
    """

    xx: float
    xy: float
    yy: float

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.xx, self.xy, self.yy))):
            raise overflow("products of squared row norms")


@dataclass(frozen=True, eq=False)
class PairMoments:
    """All that the indices need to know about two paired representations ``X [n, p]`` and ``Y [n, q]``.

    Attributes
    ----------
    x, y
        The moments of either side. Hand the same object to all pairs of a layer: its spectrum is computed once.
    xy
        Σ x̃ỹᵀ ``[p, q]``, the centred sums of products of both.
    norm_products
        None where they were not accumulated; then debiased CKA is refused.
    """

    x: Moments
    y: Moments
    xy: Array
    norm_products: NormProducts | None = None

    def __post_init__(self) -> None:
        p, q = self.mean_x.shape[0], self.mean_y.shape[0]
        shapes = (tuple(self.xx.shape), tuple(self.xy.shape), tuple(self.yy.shape))
        if not 1 <= self.x.n == self.y.n or shapes != ((p, p), (p, q), (q, q)):
            raise MomentsError(
                where="moments of a pair",
                expected=f"one n ≥ 1 and shapes {((p, p), (p, q), (q, q))} for widths {p} and {q}",
                found=f"n = {self.x.n} and {self.y.n}, and shapes {shapes}",
                remedy="Take all three from the same rows and the same two ranges of columns.",
            )

    @classmethod
    def from_rows(cls, X: Array, Y: Array, *, products: Products = "float64") -> PairMoments:
        """Summarise paired rows held in memory. Time O(n·(p + q)²). Raises RowsError, MomentsError."""
        x, y = CentredRows.of(X, "X", products=products), CentredRows.of(Y, "Y", products=products)
        demand_paired(x.centred, y.centred)
        return cls.of(x, y)

    @classmethod
    def of(cls, x: CentredRows, y: CentredRows) -> PairMoments:
        """Summarise both sides of paired rows. Time O(n·p·q), and O(n·p²) once per side. Raises MomentsError."""
        k, l = x.squared_norms, y.squared_norms  # noqa: E741 - the letters of the formula
        norms = NormProducts(float(k @ k), float(k @ l), float(l @ l))
        return cls(x.moments, y.moments, x.cross(y), norms)

    def swap(self) -> PairMoments:
        """Return the same pair with source and target exchanged."""
        norms = self.norm_products
        back = None if norms is None else NormProducts(norms.yy, norms.xy, norms.xx)
        return PairMoments(self.y, self.x, self.xy.T, back)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.x.n

    @property
    def mean_x(self) -> Array:
        """``[p]``."""
        return self.x.mean

    @property
    def mean_y(self) -> Array:
        """``[q]``."""
        return self.y.mean

    @property
    def xx(self) -> Array:
        """Centred sums of products of X, ``[p, p]``."""
        return self.x.comoment

    @property
    def yy(self) -> Array:
        """Centred sums of products of Y, ``[q, q]``."""
        return self.y.comoment

    @property
    def spectrum_x(self) -> Spectrum:
        """All directions of X."""
        return self.x.spectrum

    @property
    def spectrum_y(self) -> Spectrum:
        """All directions of Y."""
        return self.y.spectrum


def augment(X: Array, shift: Array) -> Array:
    """Append to each row its squared distance from `shift`: ``[n, p] → [n, p + 1]``.

    `shift [p]` must be the same for all blocks of a layer; the first block's mean is a good choice.
    """
    X = as_rows(X, "X")
    xp = namespace(X, shift)
    from_shift = X - shift[None, :]
    return xp.concat([X, xp.sum(from_shift * from_shift, axis=1)[:, None]], axis=1)


def pair_from_augmented(
    x: Moments, y: Moments, cross: CrossMoments, *, shift_x: Array, shift_y: Array
) -> PairMoments:
    """Assemble a pair from moments of augmented rows (`augment`), norm products included.

    The sides of the pair are `x.unaugmented` and `y.unaugmented`: pairs that share `x` share its spectrum.
    With s = ‖x − c‖² the appended column and d = mean − c, the squared norm about the mean deviates from its
    own average by s̃ − 2dᵀx̃: a fixed combination a = [−2d, 1] of the augmented columns. Hence
    Σkᵢlᵢ = aᵀ·C·b + tr(XX)·tr(YY)/n with C the augmented comoments.
    """
    xp = namespace(x.mean, y.mean, shift_x, shift_y)
    same_widths((x.mean.shape[0], y.mean.shape[0]), cross.comoment.shape)
    if not x.n == y.n == cross.n:
        raise MomentsError(
            where="moments of a pair",
            expected="own and cross moments of the same rows",
            found=f"n = {x.n}, {y.n} and {cross.n}",
            remedy="Merge the same blocks on all three sides.",
        )
    unit = xp.ones(1, dtype=x.mean.dtype, device=x.mean.device)
    # These are the combinations a = [−2d, 1] and b of the augmented columns, with d the mean less the
    # shift.
    a = xp.concat([-2.0 * (x.mean[:-1] - shift_x), unit])
    b = xp.concat([-2.0 * (y.mean[:-1] - shift_y), unit])
    total_x, total_y = x.unaugmented.total, y.unaugmented.total
    # The form aᵀCb holds the deviations of the squared norms from their averages. The averages tr/n are
    # added back, n times their product.
    norms = NormProducts(
        xx=float(a @ x.comoment @ a) + total_x**2 / x.n,
        xy=float(a @ cross.comoment @ b) + total_x * total_y / x.n,
        yy=float(b @ y.comoment @ b) + total_y**2 / x.n,
    )
    return PairMoments(x.unaugmented, y.unaugmented, cross.comoment[:-1, :-1], norms)


def rotated_moments(X: Array, Y: Array, *, products: Products = "float64") -> PairMoments:
    """Return moments that every index may be computed from, however wide the rows: of n + 1 columns at most.

    Time O(n·(p·min(n, p) + q·min(n, q))). Raises RowsError, MomentsError.
    """
    return PairMoments.of(*centred_pair(X, Y, products=products))
