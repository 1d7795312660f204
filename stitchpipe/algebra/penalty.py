"""Directions under a ridge penalty, in the units of GULP: λ is a share of a side's total variance.

With either side centred and scaled to mean squared row norm 1, its covariance Σ has trace 1 and λ is added to it.
The scale of a layer and its dead channels then do not matter, and one λ means the same for every index and map.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from stitchpipe.algebra.guards import directions_of
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps
from stitchpipe.measures import Parameter

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import Moments, PairMoments

RIDGE = 1e-2
"""The λ of figure 1 of Boix-Adserà et al. (2022): directions with less than 1 % of the variance are muted."""


def ridge_parameter(of: str) -> Parameter:
    """Describe λ as the parameter of an index that penalises `of`."""
    return Parameter(
        symbol="λ",
        meaning=f"the penalty, in units of the total variance of {of}",
        value=RIDGE,
        largest=inf,
        label="λ = {:g}",
    )


@dataclass(frozen=True, eq=False)
class PenalisedSide:
    """The retained directions of one side, and the penalty in the units of their eigenvalues."""

    directions: Spectrum
    penalty: float

    @classmethod
    def of(cls, rows: Moments, directions: Spectrum, ridge: float) -> PenalisedSide:
        """Add `ridge` times the total variance to every direction."""
        return cls(directions, ridge * rows.total)

    @property
    def shares(self) -> Array:
        """F = λᵢ/(λᵢ + penalty) ∈ (0, 1), ``[r]``: what is left of each direction."""
        return self.directions.values / (self.directions.values + self.penalty)

    @property
    def condition(self) -> float:
        """√((λ_max + penalty)/(λ_min + penalty)) over the directions; 1.0 where there are none."""
        values = self.directions.values
        if not self.directions.rank:
            return 1.0
        return sqrt((float(values[0]) + self.penalty) / (float(values[-1]) + self.penalty))

    def whitening(self) -> Array:
        """Return ``V (Λ + penalty)^-½ [p, r]``."""
        xp = namespace(self.directions.values)
        return self.directions.vectors / xp.sqrt(self.directions.values + self.penalty)[None, :]


@dataclass(frozen=True, eq=False)
class PenalisedCross:
    """C = (Λx + λₓ)^-½ Vₓᵀ·XY·V_y (Λ_y + λ_y)^-½, the cross-products of both whitened sides, ``[r, s]``."""

    values: Array
    x: PenalisedSide
    y: PenalisedSide

    def swap(self) -> PenalisedCross:
        """Return that of the pair with source and target exchanged."""
        return PenalisedCross(self.values.T, self.y, self.x)

    @property
    def rank(self) -> int:
        """The smaller number of retained directions."""
        return min(self.x.directions.rank, self.y.directions.rank)

    @property
    def condition(self) -> float:
        """The larger condition of the two sides, penalty included."""
        return max(self.x.condition, self.y.condition)


def penalised_cross(
    pair: PairMoments, *, ridge: float, storage_eps: StorageEps = EPS64, index: str
) -> PenalisedCross:
    """Return C for a penalty λ = `ridge`. Time O(p·q·min(p, q)). Raises UndefinedIndexError (``constant``)."""
    directions_x, directions_y = directions_of(pair, storage_eps=storage_eps, index=index)
    x = PenalisedSide.of(pair.x, directions_x, ridge)
    y = PenalisedSide.of(pair.y, directions_y, ridge)
    # Both whitened sides are worked in their retained directions, so the product is as small as the ranks
    # and not as the widths.
    return PenalisedCross(x.whitening().T @ pair.xy @ y.whitening(), x, y)
