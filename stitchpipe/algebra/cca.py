"""Canonical correlations, and the ways of averaging them: mean CCA, SVCCA, PWCCA, ridge CCA."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.guards import directions_of, within
from stitchpipe.algebra.inputs import Array, namespace, stored_spacing
from stitchpipe.algebra.penalty import RIDGE, PenalisedCross, penalised_cross
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps
from stitchpipe.algebra.summaries import PairMoments
from stitchpipe.algebra.wide import rotated_moments

SVCCA_VARIANCE = 0.99
"""The share of variance that SVCCA keeps on each side (Raghu et al. 2017)."""


@dataclass(frozen=True, eq=False)
class CanonicalCorrelations:
    """The canonical correlations of a pair and how they were come by.

    Attributes
    ----------
    values
        ρ ``[r]``, descending, in [0, 1]; r is the smaller of the two retained ranks.
    rotation_x, rotation_y
        ``[rank, r]``: the canonical variates of a side are its whitened rows times this.
    directions_x, directions_y
        The retained directions of either side.
    """

    values: Array
    rotation_x: Array
    rotation_y: Array
    directions_x: Spectrum
    directions_y: Spectrum

    def swap(self) -> CanonicalCorrelations:
        """Return those of the pair with source and target exchanged."""
        return CanonicalCorrelations(
            self.values, self.rotation_y, self.rotation_x, self.directions_y, self.directions_x
        )

    @property
    def rank(self) -> int:
        """How many correlations there are."""
        return int(self.values.shape[0])

    @property
    def condition(self) -> float:
        """The larger condition σ_max/σ_min of the two retained sides."""
        return max(self.directions_x.condition, self.directions_y.condition)

    @property
    def mean(self) -> float:
        """ρ̄, the mean over min(rank X, rank Y) correlations."""
        return float(namespace(self.values).mean(self.values))

    @property
    def mean_square(self) -> float:
        """The mean of ρ²."""
        return float(namespace(self.values).mean(self.values**2))

    @property
    def projection_weighted(self) -> float:
        """Σ wᵢρᵢ with wᵢ ∝ Σⱼ|⟨zᵢ, x̃ⱼ⟩|, Σw = 1: zᵢ the canonical variates, x̃ⱼ the centred neurons of X.

        With X̃ = Z̃ Λ^½ Vᵀ on the retained directions, ⟨zᵢ, x̃ⱼ⟩ = (rotation_xᵀ Λ^½ Vᵀ)ᵢⱼ.
        """
        xp = namespace(self.values)
        x = self.directions_x
        loadings = self.rotation_x.T @ (xp.sqrt(x.values)[:, None] * x.vectors.T)
        weights = xp.sum(xp.abs(loadings), axis=1)
        return min(1.0, float(weights @ self.values) / float(xp.sum(weights)))


def canonical_correlations(
    pair: PairMoments, *, variance: float | None = None, storage_eps: StorageEps = EPS64, index: str = "cca"
) -> CanonicalCorrelations:
    """Return all canonical correlations of a pair.

    Each side is restricted to the directions above rounding (`Spectrum.retained`), then, if asked, to the
    fewest that explain the share `variance`; both are whitened, and ρ are the singular values of what is
    left of XᵀY. Time O(p³ + q³ + p·q·min(p, q)). The error of ρ is about eps·cond².

    Raises
    ------
    UndefinedIndexError
        ``constant``; ``too_few_rows`` where rank X + rank Y > n − 1: two subspaces of the (n−1)-dimensional
        centred sample space then meet by dimension counting alone, and correlations of 1 say nothing.
    """
    x, y = directions_of(pair, storage_eps=storage_eps, index=index)
    if variance is not None:
        x, y = x.explaining(variance), y.explaining(variance)
    if x.rank + y.rank > pair.n - 1:
        raise UndefinedIndexError(
            status="too_few_rows",
            where=index,
            expected=f"rank X + rank Y ≤ n − 1 = {pair.n - 1}",
            found=f"{x.rank} + {y.rank} = {x.rank + y.rank}",
            remedy="Use more rows or a narrower view; correlations of 1 are forced here.",
        )
    xp = namespace(pair.xy)
    rotation_x, values, rotation_y = xp.linalg.svd(
        x.whitening().T @ pair.xy @ y.whitening(), full_matrices=False
    )
    # ρ ≤ 1 by Cauchy–Schwarz; whitening leaves eps·cond² above it.
    return CanonicalCorrelations(xp.clip(values, 0.0, 1.0), rotation_x, rotation_y.T, x, y)


def cca(X: Array, Y: Array) -> float:
    """Return the mean canonical correlation ρ̄ ∈ [0, 1] of ``X [n, p]``, ``Y [n, q]``.

    The mean is over min(rank X, rank Y) correlations, not over min(p, q): dead and duplicate neurons do not
    count, judged at the precision of the arrays' dtype. Computed in-sample: for
    independent noise the mean of ρ² is max(p, q)/(n − 1), not 0.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` (rank X + rank Y > n − 1).

    Notes
    -----
    Time O(n·(p + q)²), memory O(n·(p + q) + p² + q²); error about eps·cond². Hotelling 1936; Kornblith et
    al. 2019 (R̄_CCA).
    """
    return _correlations(X, Y, "cca").mean


def cca_sq(X: Array, Y: Array) -> float:
    """Return the mean squared canonical correlation ∈ [0, 1]; as `cca` otherwise (Kornblith's R²_CCA)."""
    return _correlations(X, Y, "cca_sq").mean_square


def svcca(X: Array, Y: Array, *, variance: float = SVCCA_VARIANCE) -> float:
    """Return the mean canonical correlation of the leading directions that hold 99 % of each side's variance.

    As `cca` otherwise; `variance` is the share kept, in (0, 1]. Raghu et al. 2017.
    """
    return _correlations(X, Y, "svcca", variance=variance).mean


def pwcca(X: Array, Y: Array) -> float:
    """Return projection-weighted CCA Σwᵢρᵢ ∈ [0, 1], a similarity; the weights come from X, the source.

    wᵢ ∝ Σⱼ|⟨zᵢ, x̃ⱼ⟩| over the neurons j of X, zᵢ the canonical variates of X, for the first min(rank X, rank
    Y) of them. Not symmetric, and not invariant to a rotation of X's neurons. As `cca` otherwise, but with
    memory O(p² + q²) however few the rows. Morcos et al. 2018, who report 1 − Σwᵢρᵢ.
    """
    pair, eps = PairMoments.from_rows(X, Y), (stored_spacing(X), stored_spacing(Y))
    return canonical_correlations(pair, storage_eps=eps, index="pwcca").projection_weighted


def ridge_cca(X: Array, Y: Array, *, ridge: float = RIDGE) -> float:
    """Return penalised canonical correlations, summed, over the effective dimensions; in [0, 1], 1 for X = Y.

    With both sides centred, scaled to mean squared row norm 1 and whitened by (Σ + λI)^-½ instead of Σ^-½, it is
    Σᵢρᵢ/√(d_x·d_y): ρ the singular values of what is left of Σₓᵧ, d(λ) = Σⱼ λⱼ/(λⱼ + λ) a side's effective
    dimension, its number of directions well above λ. Where λ is far below all of them this is mean CCA times
    √(min/max) of the two ranks.

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y.
    ridge
        λ > 0, in units of the total variance of each side.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row; not for n ≤ p + q, unlike `cca`.

    Notes
    -----
    Time O(n·(p + q)²), memory O(n·(p + q) + p² + q²); error about eps/λ at most. The penalty after Vinod (1976,
    canonical ridge); the normalisation is the cosine of Williams et al. (2021) between whitened shapes.
    """
    pair, eps = rotated_moments(X, Y), (stored_spacing(X), stored_spacing(Y))
    return ridge_cca_of(penalised_cross(pair, ridge=ridge, storage_eps=eps, index="ridge_cca"))


def ridge_cca_of(cross: PenalisedCross) -> float:
    """Return ridge CCA from both penalised sides. Time O(p·q·min(p, q))."""
    xp = namespace(cross.values)
    total = float(xp.sum(xp.linalg.svdvals(cross.values)))
    dimensions = float(xp.sum(cross.x.shares)) * float(xp.sum(cross.y.shares))
    return within(total / sqrt(dimensions), 0.0, 1.0, index="ridge_cca")


def _correlations(X: Array, Y: Array, index: str, *, variance: float | None = None) -> CanonicalCorrelations:
    """Return the correlations of rows, judged at the precision of the arrays' own dtype."""
    pair, eps = rotated_moments(X, Y), (stored_spacing(X), stored_spacing(Y))
    return canonical_correlations(pair, variance=variance, storage_eps=eps, index=index)
