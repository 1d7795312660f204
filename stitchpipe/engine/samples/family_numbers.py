"""What a block of pairs hands over of its families, and what the families of all blocks say of each pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.certainty import (
    NO_FAMILY,
    NullScale,
    benjamini_yekutieli,
    calibrate_in_family,
    family_maxima,
)
from stitchpipe.engine.numbers import Float64, PairNumbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self, TypeAlias

    import numpy.typing as npt

    from stitchpipe.engine.planning.pairs import Pairs
    from stitchpipe.engine.samples.families import Codes, Families

    Maxima: TypeAlias = Mapping[int, Float64]

FAMILY_EXTRAS: Final = ("p_family", "p_by", "calibrated_family")
"""What a family says of a number."""


@dataclass(frozen=True, eq=False, slots=True)
class ComparedPairs:
    """The numbers of some pairs over images, and what their families need of their nulls. Picklable.

    Attributes
    ----------
    numbers
        Of each pair in one direction, with what its own null says of it.
    mean, deviation
        Of the null of each number; NaN where it has none.
    maxima
        By index and family (`Families.with_maxima`), the largest studentised value under each permutation, ``[K]``: of
        these pairs alone.
    """

    numbers: PairNumbers
    mean: Float64
    deviation: Float64
    maxima: Mapping[str, Maxima]

    @classmethod
    def without_null(cls, numbers: PairNumbers) -> Self:
        """Return numbers that have no null, or none that a family is interested in."""
        nothing = np.full(len(numbers), np.nan)
        return cls(numbers, nothing, nothing, {})

    @classmethod
    def of(cls, families: Families, numbers: PairNumbers, null: Float64) -> Self:
        """Return the numbers of one index, with the maxima of their families over ``null [K, n]``."""
        known = cls.without_null(numbers)
        is_defined = ~np.isnan(numbers.values)
        if families.kind is None or not is_defined.any():
            return known
        observed, null, pairs = numbers.values[is_defined], null[:, is_defined], numbers.pairs[is_defined]
        scale, maxima = NullScale.of(null), dict[int, Float64]()
        studentised = scale.studentised(observed, null)
        # The two directions of a target and of a source are in different families, with other pairs.
        for directed in (pairs, pairs[:, ::-1])[: 2 if families.kind == "targets" else 1]:
            codes, largest = family_maxima(studentised, families.with_maxima(directed))
            maxima.update(zip(codes.tolist(), largest, strict=True))
        mean, deviation = known.mean.copy(), known.deviation.copy()
        mean[is_defined], deviation[is_defined] = scale.mean, scale.deviation
        return cls(numbers, mean, deviation, {numbers.names[0]: maxima})

    @classmethod
    def joined(cls, parts: Sequence[ComparedPairs]) -> Self:
        """Return all pairs of one or more parts; families that have pairs in several parts have the larger maxima."""
        maxima: dict[str, dict[int, Float64]] = {}
        for part in parts:
            merge_maxima(maxima, part)
        return cls(
            PairNumbers.joined([part.numbers for part in parts]),
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.deviation for part in parts]),
            maxima,
        )

    def among(self, pairs: Pairs) -> Self:
        """Return what there is of some pairs, whichever their direction; all maxima stay."""
        places = self.numbers.pairs
        wanted = pairs.among(1 + int(places.max(initial=-1)))
        is_among = (wanted | wanted.T)[tuple(places.T)]
        return replace(
            self,
            numbers=self.numbers.where(is_among),
            mean=self.mean[is_among],
            deviation=self.deviation[is_among],
        )


def merge_maxima(merged: dict[str, dict[int, Float64]], part: ComparedPairs) -> ComparedPairs:
    """Merge a part's maxima into those of others, and return the part without them.

    Whoever gathers many parts does so as they come, in any order, and holds one set of maxima.
    """
    for name, maxima in part.maxima.items():
        of_index = merged.setdefault(name, {})
        for code, largest in maxima.items():
            known = of_index.get(code)
            of_index[code] = largest if known is None else np.maximum(known, largest)
    return replace(part, maxima={})


def with_families(families: Families, compared: ComparedPairs) -> list[PairNumbers]:
    """Return the numbers of all pairs in both directions, and beside each what its family says of it.

    The pairs must be all of their families'.
    """
    numbers = compared.numbers
    is_back = numbers.pairs[:, 0] != numbers.pairs[:, 1]
    return [
        _beside(numbers, families, compared, slice(None)),
        _beside(numbers.back(), families, compared, is_back),
    ]


def _beside(
    numbers: PairNumbers, families: Families, compared: ComparedPairs, chosen: slice | npt.NDArray[np.bool_]
) -> PairNumbers:
    """Return numbers with what their families say of them; `chosen` are their places among all that were compared."""
    if not compared.maxima:
        return numbers
    extras = {name: np.full(len(numbers), np.nan) for name in FAMILY_EXTRAS}
    mean, deviation = compared.mean[chosen], compared.deviation[chosen]
    has_none = np.isnan(mean)
    of_family = np.where(has_none, NO_FAMILY, families.of(numbers.pairs))
    of_maxima = np.where(has_none, NO_FAMILY, families.with_maxima(numbers.pairs))
    for code, name in enumerate(numbers.names):
        here = np.flatnonzero(numbers.index == code)
        maxima = compared.maxima.get(name, {})
        extras["p_by"][here] = benjamini_yekutieli(numbers.extras["p_value"][here], of_family[here])
        for family, members in _members(of_maxima[here]):
            rows, largest = here[members], maxima[family]
            scale = NullScale(mean[rows], deviation[rows], len(largest))
            found = calibrate_in_family(numbers.values[rows], scale, largest)
            extras["p_family"][rows], extras["calibrated_family"][rows] = found.p_value, found.score
    return numbers.with_columns(extras={**numbers.extras, **extras})


def _members(families: Codes) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Return each family that occurs, with the places of its pairs."""
    codes, starts = np.unique(families[order := np.argsort(families, kind="stable")], return_index=True)
    split = np.split(order, starts[1:])
    return [(int(code), members) for code, members in zip(codes, split, strict=True) if code != NO_FAMILY]
