"""The values of many indices of one pair: what several of them need is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import acos
from typing import TYPE_CHECKING

from stitchpipe.algebra.cca import SVCCA_VARIANCE, CanonicalCorrelations, canonical_correlations
from stitchpipe.algebra.cka import cka_from_moments
from stitchpipe.algebra.description import IndexValue
from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.algebra.indices import index_named
from stitchpipe.algebra.least_squares import fit_direct_matching
from stitchpipe.algebra.procrustes import nuclear_cosine, squared_distance
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.maps import AffineMap, Residual
    from stitchpipe.algebra.summaries import PairMoments


@dataclass(frozen=True, eq=False)
class Analysis:
    """One pair of representations, and every index of it by name.

    Canonical correlations, the nuclear norm, the fitted map and its residual are computed when first needed and
    kept; a side's spectrum is kept with its `Moments`, for all pairs that share it.

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
    _maps: dict[str, AffineMap] = field(default_factory=dict, init=False, repr=False)
    _residuals: dict[str, Residual] = field(default_factory=dict, init=False, repr=False)

    def value(self, name: str) -> IndexValue:
        """Return the value of the index `name`.

        Raises
        ------
        UnknownIndexError
            No such index.
        UndefinedIndexError
            It has no value here; its ``status`` and ``reason`` go into the results instead.
        AlgebraError
            A held-out index without rows to fit on.
        MomentsError
            The moments do not belong together, or lack the norm products of debiased CKA.
        """
        compute = _VALUES[index_named(name).name]
        try:
            return compute(self)
        except UndefinedIndexError as undefined:
            raise undefined.within(name) from None

    def rescored(self, pair: PairMoments) -> Analysis:
        """Return the analysis of other rows, scoring the maps that were fitted for this one."""
        other = Analysis(pair, self.train, self.storage_eps)
        other._maps.update(self._maps)
        return other

    @cached_property
    def correlations(self) -> CanonicalCorrelations:
        """All canonical correlations. Raises UndefinedIndexError."""
        return canonical_correlations(self.pair, storage_eps=self.storage_eps)

    @cached_property
    def nuclear_cosine(self) -> float:
        """‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F). Raises UndefinedIndexError."""
        return nuclear_cosine(self.pair)

    def fitted(self, family: str = "affine") -> AffineMap:
        """Return the map of a family fitted on the rows of `train`. Raises AlgebraError where there are none."""
        if family not in self._maps:
            if self.train is None:
                raise AlgebraError(
                    where="direct matching",
                    expected="moments of other rows to fit a map on",
                    found="none",
                    remedy="Pass train=moments of the training rows; the pair itself, for an in-sample figure.",
                )
            self._maps[family] = fit_direct_matching(self.train, storage_eps=by_side(self.storage_eps)[0])
        return self._maps[family]

    def residual(self, family: str = "affine") -> Residual:
        """Return the sum of squares that the fitted map leaves of the pair."""
        if family not in self._residuals:
            self._residuals[family] = self.fitted(family).residual_from_moments(self.pair)
        return self._residuals[family]


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


def _of_correlations(
    average: Callable[[CanonicalCorrelations], float],
) -> Callable[[Analysis], IndexValue]:
    def value(analysis: Analysis) -> IndexValue:
        found = analysis.correlations
        return IndexValue(average(found), found.rank, found.condition)

    return value


def _svcca(analysis: Analysis) -> IndexValue:
    found = canonical_correlations(analysis.pair, variance=SVCCA_VARIANCE, storage_eps=analysis.storage_eps)
    return IndexValue(found.mean, found.rank, found.condition)


def _r2(analysis: Analysis) -> IndexValue:
    fitted, residual = analysis.fitted(), analysis.residual()
    return IndexValue(fitted.r2_from_moments(analysis.pair, residual), fitted.rank, fitted.condition)


def _struct(analysis: Analysis) -> IndexValue:
    fitted, residual = analysis.fitted(), analysis.residual()
    return IndexValue(
        fitted.struct_error_from_moments(analysis.pair, residual), fitted.rank, fitted.condition
    )


_VALUES: Mapping[str, Callable[[Analysis], IndexValue]] = {
    "cka": lambda analysis: IndexValue(cka_from_moments(analysis.pair)),
    "cka_biased": lambda analysis: IndexValue(cka_from_moments(analysis.pair, debiased=False)),
    "cca": _of_correlations(lambda found: found.mean),
    "cca_sq": _of_correlations(lambda found: found.mean_square),
    "svcca": _svcca,
    "pwcca": _of_correlations(lambda found: found.projection_weighted),
    "procrustes": lambda analysis: IndexValue(squared_distance(analysis.nuclear_cosine)),
    "procrustes_angle": lambda analysis: IndexValue(acos(analysis.nuclear_cosine)),
    "dm_r2": _r2,
    "dm_struct": _struct,
}
