"""A layer's samples in the coordinates of its principal components: linear CKA and CCA under permutations.

With T = X̃V the scores, T_xᵀ P T_y is the cross product of permuted rows for every linear index at once: the sum
of its squares is the numerator of CKA, and that of squares over λᵢμⱼ is the sum of squared canonical correlations.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.guards import variation
from stitchpipe.algebra.inputs import Array, as_rows, namespace, stored_spacing
from stitchpipe.algebra.moments import Moments, centre, triangle
from stitchpipe.algebra.spectrum import EPS64, Spectrum

if TYPE_CHECKING:
    from stitchpipe.algebra.samples.grams import SampleGram


@dataclass(frozen=True, eq=False)
class PrincipalScores:
    """The centred samples ``[n, r]`` rotated to their principal axes, and scaled so that Σλ² = 1.

    Attributes
    ----------
    n
        Number of samples.
    scores
        ``[n, r]``, TTᵀ is the centred linear kernel, of Frobenius norm 1.
    variances
        λ ``[r]``, the squared norms of the columns, descending.
    rank
        How many directions are above rounding (`Spectrum.retained`); CCA rests on those.
    """

    n: int
    scores: Array
    variances: Array
    rank: int

    @classmethod
    def from_rows(cls, X: Array, *, storage_eps: float | None = None) -> PrincipalScores:
        """Summarise rows ``X [n, p]``, one per image. Time O(n·p·min(n, p)), memory O(n·p).

        `storage_eps` is the spacing at 1 of the dtype X was kept in; by default, of the dtype it has.

        Raises
        ------
        RowsError
            Unusable arrays.
        UndefinedIndexError
            ``too_few_rows`` (n < 2), ``constant``.
        """
        storage_eps = stored_spacing(X) if storage_eps is None else storage_eps
        X = as_rows(X, "X")
        mean, centred = centre(X)
        # Where there are more features than rows, the rows are first rotated into as many coordinates as
        # there are rows. Inner products stay as they are, and the decomposition is of the smaller size.
        centred = triangle(centred.T).T if X.shape[1] > X.shape[0] else centred
        comoment = centred.T @ centred
        spread = variation(Moments(X.shape[0], mean, comoment), index="permutation null", side="layer")
        directions = Spectrum.of(comoment)
        rank = directions.retained(n=X.shape[0], mean=mean, storage_eps=storage_eps).rank
        return cls._scaled((centred / spread) @ directions.vectors, rank)

    @classmethod
    def from_gram(cls, gram: SampleGram, *, storage_eps: float = EPS64) -> PrincipalScores:
        """Summarise a layer that was only held as a Gram. Time O(n³), memory O(n²). Raises as `from_rows`."""
        xp = namespace(gram.products)
        spread = gram.variation("permutation null")
        directions = Spectrum.of(gram.products / spread / spread)
        mean = xp.full((1,), gram.largest_mean / spread, dtype=xp.float64, device=directions.values.device)
        kept = directions.retained(n=gram.n, mean=mean, storage_eps=storage_eps)
        # The eigenvectors of a Gram are the samples' coordinates: T = UΛ^½. Negative eigenvalues are
        # rounding of zero, and have no root.
        positive = directions.first(int(xp.sum(xp.astype(directions.values > 0.0, xp.int64))))
        return cls._scaled(positive.vectors * xp.sqrt(positive.values)[None, :], kept.rank)

    @classmethod
    def _scaled(cls, scores: Array, rank: int) -> PrincipalScores:
        xp = namespace(scores)
        variances = xp.sum(scores * scores, axis=0)
        # The norm of the kernel TTᵀ is √Σλ². Dividing the scores by its root makes it 1.
        norm = float(xp.linalg.vector_norm(variances))
        return cls(int(scores.shape[0]), scores / sqrt(norm), variances / norm, rank)

    @property
    def width(self) -> int:
        """Number of directions, r."""
        return int(self.scores.shape[1])

    @property
    def squared_norms(self) -> Array:
        """kᵢ = ‖x̃ᵢ‖² of the scaled samples, ``[n]``."""
        return namespace(self.scores).sum(self.scores * self.scores, axis=1)

    @property
    def total(self) -> float:
        """Σkᵢ = Σλ."""
        return float(namespace(self.variances).sum(self.variances))

    def whitening(self) -> Array:
        """Return 1/λ ``[r]`` for the directions above rounding, 0 for the others."""
        xp = namespace(self.variances)
        kept = xp.arange(self.variances.shape[0], device=self.variances.device) < self.rank
        # Directions that are left out get 1 before the division, so that an eigenvalue of zero raises no
        # warning and no infinity.
        safe = xp.where(kept, self.variances, xp.ones_like(self.variances))
        return xp.where(kept, 1.0 / safe, xp.zeros_like(safe))

    def debiased_norm(self) -> float:
        """Return √(n(n−3)·HSIC_u) of the layer with itself, the root of 1 − n/(n−2)·Σkᵢ² + (Σkᵢ)²/((n−1)(n−2)).

        Raises
        ------
        UndefinedIndexError
            ``too_few_rows`` (n < 4), ``degenerate`` (all samples equally far apart).
        """
        n = self.n
        if n < 4:
            raise UndefinedIndexError(
                status="too_few_rows",
                where="cka",
                expected="n ≥ 4 samples for the unbiased estimator",
                found=f"n = {n}",
                remedy="Compare on more samples, or ask for cka_biased.",
            )
        norms = self.squared_norms
        # The layer was scaled so that ‖TᵀT‖²_F = Σλ² = 1, which is the first term below.
        hollow = n / (n - 2) * float(namespace(norms).sum(norms * norms))
        rest = self.total**2 / ((n - 1) * (n - 2))
        square = 1.0 - hollow + rest
        if square <= 64.0 * EPS64 * sqrt(n) * (1.0 + hollow + rest):
            raise UndefinedIndexError(
                status="degenerate",
                where="cka",
                expected="samples whose mutual distances differ",
                found=f"a layer whose {n} samples are all equally far apart",
                remedy="Use cka_biased, or more samples.",
            )
        return sqrt(square)
