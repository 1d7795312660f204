"""The values of many indices of one pair: what several of them need is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import acos
from typing import TYPE_CHECKING, TypeVar

from stitchpipe.algebra.cca import SVCCA_VARIANCE, CanonicalCorrelations, canonical_correlations, ridge_cca_of
from stitchpipe.algebra.cka import cka_from_moments
from stitchpipe.algebra.description import IndexValue
from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.algebra.gulp import gulp_of
from stitchpipe.algebra.map_families import fit_map
from stitchpipe.algebra.naming import index_named
from stitchpipe.algebra.penalty import RIDGE, PenalisedCross, penalised_cross
from stitchpipe.algebra.procrustes import nuclear_cosine, squared_distance
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.maps import AffineMap, Residual
    from stitchpipe.algebra.summaries import PairMoments
    from stitchpipe.measures import Measure

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Analysis:
    """One pair of representations, and every index of it that is a function of moments, by name.

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

    def value(self, name: str) -> IndexValue:
        """Return the value of the index `name`, for example ``"cka"`` or ``"gulp(0.1)"``.

        Raises
        ------
        UnknownNameError
            No such index, or no such parameter of it.
        UndefinedIndexError
            It has no value here; its ``status`` and ``reason`` go into the results instead.
        AlgebraError
            A held-out index without rows to fit on, or an index of something else than moments.
        MomentsError
            The moments do not belong together, or lack the norm products of debiased CKA.
        """
        index = index_named(name)
        if index.computed_from != "moments":
            raise AlgebraError(
                where=name,
                expected=f"{index.computed_from}, which this index is computed from",
                found="moments of rows",
                remedy="Use its own function, or leave it out here.",
            )
        try:
            return _held_out(self, index) if index.family else _IN_SAMPLE[index.base](self, index)
        except UndefinedIndexError as undefined:
            raise undefined.within(name) from None

    def rescored(self, pair: PairMoments) -> Analysis:
        """Return the analysis of other rows, scoring the maps that were fitted for this one."""
        other = Analysis(pair, self.train, self.storage_eps)
        other._maps.update(self._maps)
        return other

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
            seen = self._from_mirror(lambda mirror: mirror.correlations(variance).swap())
            self._correlations[variance] = seen or canonical_correlations(
                self.pair, variance=variance, storage_eps=self.storage_eps
            )
        return self._correlations[variance]

    @cached_property
    def nuclear_cosine(self) -> float:
        """‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F). Raises UndefinedIndexError."""
        seen = self._from_mirror(lambda mirror: mirror.nuclear_cosine)
        return nuclear_cosine(self.pair) if seen is None else seen

    def penalised(self, ridge: float) -> PenalisedCross:
        """Return the cross-products under a penalty λ = `ridge`. Raises UndefinedIndexError."""
        if ridge not in self._penalised:
            seen = self._from_mirror(lambda mirror: mirror.penalised(ridge).swap())
            self._penalised[ridge] = seen or penalised_cross(
                self.pair, ridge=ridge, storage_eps=self.storage_eps, index="penalty"
            )
        return self._penalised[ridge]

    def _from_mirror(self, get: Callable[[Analysis], _Found]) -> _Found | None:
        """Return what the other direction has, or None: also where it has no value and would name the wrong side."""
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


def evaluate(
    name: str,
    pair: PairMoments | Analysis,
    *,
    train: PairMoments | None = None,
    storage_eps: StorageEps = EPS64,
) -> IndexValue:
    """Return the value of index `name` on the rows that `pair` summarises: `Analysis.value` for a single one."""
    analysis = pair if isinstance(pair, Analysis) else Analysis(pair, train, storage_eps)
    return analysis.value(name)


def _held_out(analysis: Analysis, index: Measure) -> IndexValue:
    """Return R² or the structural error of the map that the index scores."""
    key = (index.family or "affine", index.parameter.value if index.parameter else None)
    fitted, residual = analysis.fitted(*key), analysis.residual(*key)
    r2 = index.base.endswith("_r2")
    score = fitted.r2_from_moments if r2 else fitted.struct_error_from_moments
    return IndexValue(score(analysis.pair, residual), fitted.rank, fitted.condition)


def _of_correlations(average: Callable[[CanonicalCorrelations], float]) -> _Formula:
    def value(analysis: Analysis, _: Measure) -> IndexValue:
        found = analysis.correlations()
        return IndexValue(average(found), found.rank, found.condition)

    return value


def _of_penalised(formula: Callable[[PenalisedCross], float]) -> _Formula:
    def value(analysis: Analysis, index: Measure) -> IndexValue:
        found = analysis.penalised(index.parameter.value if index.parameter else RIDGE)
        return IndexValue(formula(found), found.rank, found.condition)

    return value


def _svcca(analysis: Analysis, index: Measure) -> IndexValue:
    share = index.parameter.value if index.parameter else SVCCA_VARIANCE
    found = analysis.correlations(share)
    return IndexValue(found.mean, found.rank, found.condition)


def _biased_cka(analysis: Analysis, _: Measure) -> IndexValue:
    return IndexValue(cka_from_moments(analysis.pair, debiased=False))


if TYPE_CHECKING:
    _Formula = Callable[[Analysis, Measure], IndexValue]

_IN_SAMPLE: Mapping[str, _Formula] = {
    "cka": lambda analysis, _: IndexValue(cka_from_moments(analysis.pair)),
    "cka_biased": _biased_cka,
    "rv": _biased_cka,
    "cca": _of_correlations(lambda found: found.mean),
    "cca_sq": _of_correlations(lambda found: found.mean_square),
    "svcca": _svcca,
    "pwcca": _of_correlations(lambda found: found.projection_weighted),
    "ridge_cca": _of_penalised(ridge_cca_of),
    "procrustes": lambda analysis, _: IndexValue(squared_distance(analysis.nuclear_cosine)),
    "procrustes_angle": lambda analysis, _: IndexValue(acos(analysis.nuclear_cosine)),
    "nbs": lambda analysis, _: IndexValue(analysis.nuclear_cosine),
    "gulp": _of_penalised(gulp_of),
}
