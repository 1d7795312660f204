"""One pair of representations, analysed: what several of its indices need is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from stitchpipe.algebra.canonical import CanonicalCorrelations, canonical_correlations
from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.algebra.maps import fit_map
from stitchpipe.algebra.nuclear import nuclear_cosine
from stitchpipe.algebra.penalty import PenalisedCross, penalised_cross
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.algebra.maps import AffineMap, Residual
    from stitchpipe.algebra.moments import PairMoments

_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class Analysis:
    """One pair of representations, and what its indices are made of (`stitchpipe.algebra.index.Index.value`).

    Canonical correlations, the nuclear norm, penalised cross-products, fitted maps and their residuals are computed
    when first needed and kept, the first three for both directions (`swap`); a side's spectrum is kept with its
    `Moments`, for all pairs that share it.

    Attributes
    ----------
    pair
        Moments of the rows to score, source first.
    train
        Moments of the rows to fit maps on, for the held-out indices; None where there are none.
    storage_eps
        Spacing at 1 of the dtype the rows were kept in, of both sides or of (source, target): directions below
        its noise do not count.
    """

    pair: PairMoments
    train: PairMoments | None = None
    storage_eps: StorageEps = EPS64
    _maps: dict[tuple[str, float | None], AffineMap] = field(default_factory=dict, init=False, repr=False)
    _residuals: dict[tuple[str, float | None], Residual] = field(default_factory=dict, init=False, repr=False)
    _penalised: dict[float, PenalisedCross] = field(default_factory=dict, init=False, repr=False)
    _correlations: dict[float | None, CanonicalCorrelations] = field(
        default_factory=dict, init=False, repr=False
    )
    _mirror: Analysis | None = field(default=None, repr=False)

    def rescored(self, pair: PairMoments) -> Analysis:
        """Return the analysis of other rows, scoring the maps that were fitted for this one.

        What a jackknife evaluates for each group it leaves out: it speaks of the scored rows, the maps stay.
        """
        rescored = Analysis(pair, self.train, self.storage_eps)
        rescored._maps.update(self._maps)
        return rescored

    def swap(self) -> Analysis:
        """Return the analysis of the same pair with source and target exchanged.

        It takes the decompositions of this one; only maps and their residuals are its own.
        """
        train = None if self.train is None else self.train.swap()
        eps_x, eps_y = by_side(self.storage_eps)
        return Analysis(self.pair.swap(), train, (eps_y, eps_x), _mirror=self)

    def correlations(self, variance: float | None = None) -> CanonicalCorrelations:
        """Return all canonical correlations, of the directions that explain that share of `variance` if one is given.

        Raises UndefinedIndexError.
        """
        if variance not in self._correlations:
            # XY = (YX)ᵀ has the singular values of YX, and its vectors with sides exchanged.
            mirrored = self._from_mirror(lambda mirror: mirror.correlations(variance).swap())
            self._correlations[variance] = mirrored or canonical_correlations(
                self.pair, variance=variance, storage_eps=self.storage_eps
            )
        return self._correlations[variance]

    @cached_property
    def nuclear_cosine(self) -> float:
        """‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F). Raises UndefinedIndexError."""
        mirrored = self._from_mirror(lambda mirror: mirror.nuclear_cosine)
        return nuclear_cosine(self.pair) if mirrored is None else mirrored

    def penalised(self, ridge: float) -> PenalisedCross:
        """Return the cross-products under a penalty λ = `ridge`. Raises UndefinedIndexError."""
        if ridge not in self._penalised:
            mirrored = self._from_mirror(lambda mirror: mirror.penalised(ridge).swap())
            self._penalised[ridge] = mirrored or penalised_cross(
                self.pair, ridge=ridge, storage_eps=self.storage_eps, index="penalty"
            )
        return self._penalised[ridge]

    def _from_mirror(self, get: Callable[[Analysis], _Part]) -> _Part | None:
        """Return what the other direction has; None where this one must see for itself.

        That is where there is no other direction, and where it has no value: its refusal would name the wrong side.
        """
        if self._mirror is None:
            return None
        try:
            return get(self._mirror)
        except UndefinedIndexError:
            return None

    def fitted(self, family: str = "affine", parameter: float | None = None) -> AffineMap:
        """Return the map of a family (`fit_map`) fitted on the rows of `train`.

        Raises AlgebraError where there are none, UnknownNameError for an unknown family.
        """
        key = (family, parameter)
        if key not in self._maps:
            if self.train is None:
                raise AlgebraError(
                    where="direct matching",
                    expected="moments of other rows to fit a map on",
                    found="none",
                    remedy="Pass train=moments of the training rows; the pair itself, for an in-sample figure.",
                )
            self._maps[key] = fit_map(family, self.train, parameter=parameter, storage_eps=self.storage_eps)
        return self._maps[key]

    def residual(self, family: str = "affine", parameter: float | None = None) -> Residual:
        """Return the sum of squares that the fitted map leaves of the pair. Raises as `fitted`."""
        key = (family, parameter)
        if key not in self._residuals:
            self._residuals[key] = self.fitted(family, parameter).residual_from_moments(self.pair)
        return self._residuals[key]

    def scored(self, family: str = "affine", parameter: float | None = None) -> tuple[AffineMap, Residual]:
        """Return the fitted map of a family and what it leaves of the pair. Raises as `fitted`."""
        return self.fitted(family, parameter), self.residual(family, parameter)
