"""The sample Gram: inner products of centred samples, accumulated over blocks of features.

One summary of a layer serves every index over samples: kernels (linear, RBF), neighbours (cosine) and
dissimilarities (correlation). Accumulate (`SampleGram.from_block`), merge over features (`merge`), restrict to
some of the samples (`select`); wide layers are never held whole. A sample is one row: take one row per image
(pooled, flattened or class token), because rows of one image are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from stitchpipe.algebra.errors import MomentsError, RowsError
from stitchpipe.algebra.guards import variation
from stitchpipe.algebra.inputs import Array, as_rows, namespace
from stitchpipe.algebra.moments import Moments, centre

MOST_IMAGES = 2000
"""How many images the indices over samples are worked on unless more are asked for: memory is 8·n² bytes a layer."""


@dataclass(frozen=True, eq=False)
class SampleGram:
    """Inner products over features of n samples ``[n, width]``, centred and about the origin.

    With feature means μ, centred rows x̃ᵢ = xᵢ − μ and m = Σₖμₖ/width:

    Attributes
    ----------
    n, width
        Number of samples, and of features so far.
    products
        ``[n, n]``, x̃ᵢ·x̃ⱼ.
    sums
        ``[n]``, Σₖ x̃ᵢₖ.
    projections
        ``[n]``, x̃ᵢ·(μ − m).
    mean, scatter
        m, and Σₖ(μₖ − m)².
    largest_mean
        max |μₖ|, which bounds what rounding at storage has done; after `select` that of all samples.
    """

    n: int
    width: int
    products: Array
    sums: Array
    projections: Array
    mean: float
    scatter: float
    largest_mean: float

    @classmethod
    def from_block(cls, X: Array) -> SampleGram:
        """Summarise some features ``X [n, width]`` of all samples. Time O(n²·width), memory O(n²).

        Raises
        ------
        RowsError
            Unusable arrays.
        MomentsError
            The products overflow.
        """
        X = as_rows(X, "X")
        xp = namespace(X)
        mu, centred = centre(X)
        products = centred @ centred.T
        if not bool(xp.all(xp.isfinite(products))):
            raise MomentsError(
                where="sample Gram",
                expected="values whose squares fit into float64",
                found="an overflow",
                remedy="Rescale the representation; the indices do not depend on its scale.",
            )
        mean = float(xp.mean(mu))
        deviations = mu - mean
        return cls(
            n=X.shape[0],
            width=X.shape[1],
            products=products,
            sums=xp.sum(centred, axis=1),
            projections=centred @ deviations,
            mean=mean,
            scatter=float(xp.sum(deviations**2)),
            largest_mean=float(xp.max(xp.abs(mu))),
        )

    def merge(self, other: SampleGram) -> SampleGram:
        """Return the Gram of both sets of features. Time and memory O(n²).

        Centred products add; what refers to the common mean m is moved to the joint one (Chan, Golub and
        LeVeque 1983, with features in the place of rows). Raises RowsError for another number of samples.
        """
        if self.n != other.n:
            raise RowsError(
                where="sample Gram",
                expected=f"features of the same {self.n} samples",
                found=f"{other.n} samples",
                remedy="Merge blocks of features of one layer on one set of samples.",
            )
        width = self.width + other.width
        step = other.mean - self.mean
        mean = self.mean + step * (other.width / width)
        return SampleGram(
            n=self.n,
            width=width,
            products=self.products + other.products,
            sums=self.sums + other.sums,
            projections=self.projections
            + other.projections
            + (self.mean - mean) * self.sums
            + (other.mean - mean) * other.sums,
            mean=mean,
            scatter=self.scatter + other.scatter + step**2 * (self.width * other.width / width),
            largest_mean=max(self.largest_mean, other.largest_mean),
        )

    def select(self, samples: Array) -> SampleGram:
        """Return the Gram of some samples (``[m]`` distinct indices), centred anew. Time and memory O(m²).

        What a jackknife that leaves out a group of images needs; the features are not read again. With
        d = Σx̃ᵢ/m over those kept, x̃ᵢ becomes x̃ᵢ − d and μ becomes μ + d; all products with d are means of
        products. The error is a few eps·max‖x̃ᵢ‖².
        """
        xp = namespace(self.products)
        samples = xp.asarray(samples, device=self.products.device)
        products = xp.take(xp.take(self.products, samples, axis=0), samples, axis=1)
        sums, projections = xp.take(self.sums, samples), xp.take(self.projections, samples)
        # These are the products x̃ᵢ·d and then ‖d‖², d·1/width and d·(μ − m): each a mean of what is held
        # already.
        with_d = xp.mean(products, axis=1)
        d_squared = float(xp.mean(with_d))
        d_mean = float(xp.mean(sums)) / self.width
        sums = sums - self.width * d_mean
        d_projection = float(xp.mean(projections))
        return replace(
            self,
            n=int(products.shape[0]),
            products=products - with_d[:, None] - with_d[None, :] + d_squared,
            sums=sums,
            projections=projections - d_projection + with_d - d_squared - d_mean * sums,
            mean=self.mean + d_mean,
            scatter=max(0.0, self.scatter + 2.0 * d_projection + d_squared - self.width * d_mean**2),
        )

    @property
    def squared_mean(self) -> float:
        """‖μ‖²."""
        return self.scatter + self.width * self.mean**2

    def origin_products(self) -> Array:
        """Return xᵢ·xⱼ of the rows as they came, ``[n, n]``. Time and memory O(n²)."""
        # The product x̃ᵢ·μ is split at the mean m of μ: x̃ᵢ·(μ − m) is held, and x̃ᵢ·m is m times the sum
        # of the row.
        with_mean = self.projections + self.mean * self.sums
        return self.products + with_mean[:, None] + with_mean[None, :] + self.squared_mean

    def feature_comoments(self) -> Array:
        """Return Σₖ(xᵢₖ − x̄ᵢ)(xⱼₖ − x̄ⱼ), each sample centred over its features, ``[n, n]``. Time O(n²)."""
        # The mean of a raw row is that of x̃ᵢ plus m. Taking it off both factors leaves the products of x̃ᵢ
        # and of μ − m, each about its own mean.
        row_means = self.sums / self.width
        return (
            self.products
            - self.width * row_means[:, None] * row_means[None, :]
            + self.projections[:, None]
            + self.projections[None, :]
            + self.scatter
        )

    def squared_distances(self) -> Array:
        """Return ‖xᵢ − xⱼ‖², ``[n, n]``, zero on the diagonal. The error is a few eps·(‖x̃ᵢ‖² + ‖x̃ⱼ‖²)."""
        xp = namespace(self.products)
        norms = xp.linalg.diagonal(self.products)
        squared = self.products * -2.0
        squared += norms[:, None]
        squared += norms[None, :]
        return xp.clip(squared, 0.0, None)  # below zero only by rounding, where samples coincide

    def variation(self, index: str) -> float:
        """Return ‖X̃‖_F.

        Raises
        ------
        UndefinedIndexError
            ``too_few_rows`` for a single sample, ``constant`` where all samples are the same.
        """
        xp = namespace(self.products)
        # The test for equal samples asks for the norm of the mean alone, which one number of that size has
        # as well.
        mean = xp.full((1,), sqrt(self.squared_mean), dtype=self.products.dtype, device=self.products.device)
        return variation(Moments(self.n, mean, self.products), index=index, side="layer")
