"""Canonical correlations of a pair, on which every index of that name rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.guards import directions_of
from stitchpipe.algebra.inputs import Array, Products, namespace, stored_spacing
from stitchpipe.algebra.moments import rotated_moments
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


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
        # The rows of `loadings` are the canonical variates zᵢ, its columns the neurons of X.
        loadings = self.rotation_x.T @ self.directions_x.loadings()
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
    # The ranks are counted after the cut, because directions that were left out cannot force a correlation.
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


def correlations_of_rows(
    X: Array, Y: Array, *, index: str, variance: float | None = None, products: Products = "float64"
) -> CanonicalCorrelations:
    """Return the correlations of rows, judged at the precision of the arrays' own dtype."""
    pair, eps = rotated_moments(X, Y, products=products), (stored_spacing(X), stored_spacing(Y))
    return canonical_correlations(pair, variance=variance, storage_eps=eps, index=index)
