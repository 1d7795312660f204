"""Mergeable summaries of rows: counts, means and centred sums of products, in float64.

Accumulate (`from_block`), merge (`merge`), then hand a `PairMoments` to any index. Blocks are centred on
their own mean, so nothing cancels however large the mean is; merging follows Chan, Golub and LeVeque (1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.inputs import Array, as_rows, namespace, paired_rows
from stitchpipe.algebra.spectrum import EPS64, Spectrum


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the rows of one matrix, which may hold several layers side by side.

    Attributes
    ----------
    n
        Number of rows.
    mean
        ``[P]``.
    comoment
        ``[P, P]``, Σ (z − mean)(z − mean)ᵀ: n times the covariance.
    """

    n: int
    mean: Array
    comoment: Array

    @classmethod
    def from_block(cls, Z: Array) -> Moments:
        """Summarise the rows ``Z [n, P]``. Time O(n·P²). Raises RowsError, MomentsError."""
        Z = as_rows(Z, "Z")
        mean, centred = centre(Z)
        return cls(Z.shape[0], mean, _finite(centred.T @ centred))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together. Time and memory O(P²)."""
        _same_widths(self.mean.shape, other.mean.shape)
        n = self.n + other.n
        step = other.mean - self.mean
        between = (self.n * other.n / n) * (step[:, None] * step[None, :])
        return Moments(n, self.mean + step * (other.n / n), self.comoment + other.comoment + between)

    def without(self, part: Moments) -> Moments:
        """Return the moments of the rows that are not in `part`: the inverse of `merge`.

        Loses about n/(n − part.n) times the digits of a sum: for leaving a small part out, not for taking most away.

        Raises
        ------
        MomentsError
            `part` has as many rows, or other columns.
        """
        _same_widths(self.mean.shape, part.mean.shape)
        n = _rows_left(self.n, part.n)
        mean = self.mean + (self.mean - part.mean) * (part.n / n)
        step = part.mean - mean
        between = (n * part.n / self.n) * (step[:, None] * step[None, :])
        return Moments(n, mean, self.comoment - part.comoment - between)

    @cached_property
    def spectrum(self) -> Spectrum:
        """All directions, computed once however many pairs these rows take part in. Time O(P³)."""
        return Spectrum.of(self.comoment)

    def retained(self, storage_eps: float = EPS64) -> Spectrum:
        """Return the directions above rounding for rows kept at that spacing (`Spectrum.retained`)."""
        return self.spectrum.retained(n=self.n, mean=self.mean, storage_eps=storage_eps)

    @cached_property
    def total(self) -> float:
        """Σ‖z − mean‖², the trace of the comoment."""
        return float(namespace(self.comoment).linalg.trace(self.comoment))

    @cached_property
    def inverse_participation(self) -> float:
        """‖C‖²_F/(tr C)² of the comoment C, between 1/rank and 1. Only where the rows vary."""
        xp = namespace(self.comoment)
        scaled = self.comoment / self.total
        return float(xp.sum(scaled * scaled))

    @cached_property
    def unaugmented(self) -> Moments:
        """The moments without the last column, for rows of `augment`; always the same object."""
        return self.pick(slice(0, self.mean.shape[0] - 1))

    def pick(self, columns: slice) -> Moments:
        """Return the moments of some adjacent columns, for example of one layer."""
        return Moments(self.n, self.mean[columns], self.comoment[columns, columns])

    def between(self, x: slice, y: slice) -> CrossMoments:
        """Return the cross moments of two ranges of columns."""
        return CrossMoments(self.n, self.mean[x], self.mean[y], self.comoment[x, y])


@dataclass(frozen=True, eq=False)
class CrossMoments:
    """Cross moments of paired rows ``X [n, p]``, ``Y [n, q]``, without either side's own second moments.

    ``comoment [p, q]`` is Σ (x − mean_x)(y − mean_y)ᵀ.
    """

    n: int
    mean_x: Array
    mean_y: Array
    comoment: Array

    @classmethod
    def from_block(cls, X: Array, Y: Array) -> CrossMoments:
        """Summarise paired rows. Time O(n·p·q), memory O(n·(p + q) + p·q). Raises RowsError, MomentsError."""
        X, Y = paired_rows(X, Y)
        mean_x, centred_x = centre(X)
        mean_y, centred_y = centre(Y)
        return cls(X.shape[0], mean_x, mean_y, _finite(centred_x.T @ centred_y))

    def merge(self, other: CrossMoments) -> CrossMoments:
        """Return the cross moments of both sets of rows together. Time and memory O(p·q)."""
        _same_widths(self.comoment.shape, other.comoment.shape)
        n = self.n + other.n
        step_x, step_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        between = (self.n * other.n / n) * (step_x[:, None] * step_y[None, :])
        share = other.n / n
        return CrossMoments(
            n,
            self.mean_x + step_x * share,
            self.mean_y + step_y * share,
            self.comoment + other.comoment + between,
        )

    def pick(self, x: slice, y: slice) -> CrossMoments:
        """Return the cross moments of some adjacent columns of either side."""
        return CrossMoments(self.n, self.mean_x[x], self.mean_y[y], self.comoment[x, y])

    def swap(self) -> CrossMoments:
        """Return the same with both sides exchanged."""
        return CrossMoments(self.n, self.mean_y, self.mean_x, self.comoment.T)

    def without(self, part: CrossMoments) -> CrossMoments:
        """Return the cross moments of the rows that are not in `part`, as `Moments.without`."""
        _same_widths(self.comoment.shape, part.comoment.shape)
        n = _rows_left(self.n, part.n)
        mean_x = self.mean_x + (self.mean_x - part.mean_x) * (part.n / n)
        mean_y = self.mean_y + (self.mean_y - part.mean_y) * (part.n / n)
        between = (n * part.n / self.n) * ((part.mean_x - mean_x)[:, None] * (part.mean_y - mean_y)[None, :])
        return CrossMoments(n, mean_x, mean_y, self.comoment - part.comoment - between)


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
            raise _overflow("products of squared row norms")


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
    def from_rows(cls, X: Array, Y: Array) -> PairMoments:
        """Summarise paired rows held in memory. Time O(n·(p + q)²). Raises RowsError, MomentsError."""
        X, Y = paired_rows(X, Y)
        xp = namespace(X, Y)
        mean_x, X = centre(X)
        mean_y, Y = centre(Y)
        k, l = xp.sum(X * X, axis=1), xp.sum(Y * Y, axis=1)  # noqa: E741 - the letters of the formula
        norms = NormProducts(float(k @ k), float(k @ l), float(l @ l))
        x, y = (Moments(Z.shape[0], mean, _finite(Z.T @ Z)) for Z, mean in ((X, mean_x), (Y, mean_y)))
        return cls(x, y, _finite(X.T @ Y), norms)

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


def centre(rows: Array) -> tuple[Array, Array]:
    """Return the column means and the rows minus them.

    The mean is taken twice, the second time of the residuals: exact for constant columns, and free of the
    rounding that a large mean leaves in a single pass.
    """
    xp = namespace(rows)
    mean = xp.mean(rows, axis=0)
    mean = mean + xp.mean(rows - mean[None, :], axis=0)
    return mean, rows - mean[None, :]


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
    _same_widths((x.mean.shape[0], y.mean.shape[0]), cross.comoment.shape)
    if not x.n == y.n == cross.n:
        raise MomentsError(
            where="moments of a pair",
            expected="own and cross moments of the same rows",
            found=f"n = {x.n}, {y.n} and {cross.n}",
            remedy="Merge the same blocks on all three sides.",
        )
    one = xp.ones(1, dtype=x.mean.dtype, device=x.mean.device)
    a = xp.concat([-2.0 * (x.mean[:-1] - shift_x), one])
    b = xp.concat([-2.0 * (y.mean[:-1] - shift_y), one])
    total_x, total_y = x.unaugmented.total, y.unaugmented.total
    norms = NormProducts(
        xx=float(a @ x.comoment @ a) + total_x**2 / x.n,
        xy=float(a @ cross.comoment @ b) + total_x * total_y / x.n,
        yy=float(b @ y.comoment @ b) + total_y**2 / x.n,
    )
    return PairMoments(x.unaugmented, y.unaugmented, cross.comoment[:-1, :-1], norms)


def _rows_left(n: int, part: int) -> int:
    if part >= n:
        raise MomentsError(
            where="moments",
            expected=f"fewer than {n} rows to leave out",
            found=str(part),
            remedy="Leave out a part of the rows that were merged.",
        )
    return n - part


def _finite(comoment: Array) -> Array:
    xp = namespace(comoment)
    if not bool(xp.all(xp.isfinite(comoment))):
        raise _overflow("sums of products")
    return comoment


def _overflow(where: str) -> MomentsError:
    return MomentsError(
        where=where,
        expected="values whose fourth powers fit into float64",
        found="an overflow",
        remedy="Rescale the representation; the indices do not depend on its scale.",
    )


def _same_widths(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if tuple(one) != tuple(other):
        raise MomentsError(
            where="moments",
            expected=f"widths {tuple(one)}",
            found=f"widths {tuple(other)}",
            remedy="Merge only moments of the same columns.",
        )
