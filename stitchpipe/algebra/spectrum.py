"""The directions of a representation, and which of them carry more than rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TypeAlias

from stitchpipe.algebra.inputs import Array, namespace

EPS64 = 2.0**-52
"""Spacing of float64 at 1. Pass the storage dtype's spacing (2⁻²³, 2⁻¹⁰) for data kept in less."""

StorageEps: TypeAlias = float | tuple[float, float]
"""Spacing at 1 of the dtype that rows were kept in: of both sides, or of the source and of the target."""

ROUNDING = 4.0
"""What a vanishing eigenvalue may be, in p·eps·λ_max: up to 1.5·eps·λ_max was seen (p = 3, n ≤ 1e5); see DESIGN.md."""


def by_side(storage_eps: StorageEps) -> tuple[float, float]:
    """Return the spacing of the source and of the target."""
    return storage_eps if isinstance(storage_eps, tuple) else (storage_eps, storage_eps)


@dataclass(frozen=True, eq=False)
class Neurons:
    """What columns are coordinates of, where rows were wider than there are rows (`CentredRows.narrowed`).

    Attributes
    ----------
    mean
        ``[P]``, of the neurons.
    rows
        X̃ ``[n, P]``, the centred rows over neurons.
    coordinates
        C ``[n, p]``, the same rows in an orthonormal basis B ``[P, p]``: X̃ = C·Bᵀ.
    """

    mean: Array
    rows: Array
    coordinates: Array

    @cached_property
    def basis(self) -> Array:
        """B ``[P, p]``, of the QR factors of [mean, X̃ᵀ]. Time O(n²·P): most uses of coordinates do without it."""
        xp = namespace(self.rows)
        return xp.linalg.qr(xp.concat([self.mean[None, :], self.rows]).T)[0]

    def loadings(self, directions: Spectrum) -> Array:
        """Return ``√Λ Vᵀ Bᵀ [r, P]`` of directions of the coordinates. Time O(n·P·r).

        With CV = U√Λ it is UᵀX̃, so that the rows take the place of the basis.
        """
        return (self.coordinates @ directions.whitening()).T @ self.rows


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues ``values [r]`` (descending) and orthonormal eigenvectors ``vectors [p, r]``.

    ``neurons`` is None where the p columns are the neurons themselves.
    """

    values: Array
    vectors: Array
    neurons: Neurons | None = None

    @classmethod
    def of(cls, comoment: Array, neurons: Neurons | None = None) -> Spectrum:
        """Decompose a symmetric matrix ``[p, p]``. Time O(p³)."""
        xp = namespace(comoment)
        values, vectors = xp.linalg.eigh(comoment)
        # The eigenvalues of eigh come in ascending order, and everything here reads the leading directions
        # first.
        return cls(xp.flip(values), xp.flip(vectors, axis=1), neurons)

    @property
    def rank(self) -> int:
        """How many directions there are."""
        return int(self.values.shape[0])

    @property
    def condition(self) -> float:
        """σ_max/σ_min = √(λ_max/λ_min) over the directions held; 1.0 where there are none."""
        return sqrt(float(self.values[0]) / float(self.values[-1])) if self.rank else 1.0

    def first(self, rank: int) -> Spectrum:
        """Return the `rank` leading directions."""
        return Spectrum(self.values[:rank], self.vectors[:, :rank], self.neurons)

    def retained(self, *, n: int, mean: Array, storage_eps: float = EPS64) -> Spectrum:
        """Return the directions whose eigenvalue is above rounding.

        The cut-off is the larger of ``4·p·eps64·λ_max``, below which float64 moments hold nothing, and
        ``storage_eps²·max(λ_max, n·max_j mean_j²)``, below which the stored values hold nothing: rounding at
        storage moves a value by up to storage_eps times its own size, mean included.
        """
        xp = namespace(self.values, mean)
        # The stored noise grows with the largest entry that was rounded, so a large mean hides small
        # variation: hence the larger of λ_max and n·mean².
        top = float(self.values[0])
        stored = storage_eps**2 * max(top, n * float(xp.max(xp.abs(mean))) ** 2)
        cut = max(ROUNDING * self.vectors.shape[0] * EPS64 * top, stored)
        return self.first(int(xp.sum(xp.astype(self.values > cut, xp.int64))))

    def explaining(self, share: float) -> Spectrum:
        """Return the fewest leading directions whose eigenvalues sum to at least `share` of the total."""
        xp = namespace(self.values)
        running = xp.cumulative_sum(self.values)
        # The direction that reaches the share is itself needed, hence the one more.
        short = xp.astype(running < share * running[-1], xp.int64)
        return self.first(min(self.rank, int(xp.sum(short)) + 1))

    def whitening(self) -> Array:
        """Return ``V Λ^-½ [p, r]``: centred rows times this have orthonormal columns."""
        xp = namespace(self.values)
        return self.vectors / xp.sqrt(self.values)[None, :]

    def loadings(self) -> Array:
        """Return ``√Λ Vᵀ``, inner products of each direction's scores of norm 1 with each neuron, ``[r, neurons]``."""
        if self.neurons is not None:
            return self.neurons.loadings(self)
        return namespace(self.values).sqrt(self.values)[:, None] * self.vectors.T
