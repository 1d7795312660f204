"""One pair of representations: its indices of moments, in both directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from stitchpipe.algebra import INDICES, Analysis
from stitchpipe.algebra.certainty import GramSums
from stitchpipe.measures import Number

if TYPE_CHECKING:
    from stitchpipe.algebra import Index
    from stitchpipe.in_memory.summaries import ArraySummaries, HeldOutSummaries

Numbers: TypeAlias = "dict[tuple[str, str, str], Number]"
"""By source, target and index."""


@dataclass(frozen=True, eq=False)
class Analyses:
    """One ordered pair, analysed: two or all of these are the same where they can be.

    Attributes
    ----------
    rows
        For the indices of the scored rows.
    maps
        For those that fit a map.
    neurons
        For those that may not be computed from coordinates, see `reads_neurons`.
    """

    rows: Analysis
    maps: Analysis
    neurons: Analysis

    def of(self, index: Index) -> Analysis:
        """Return the one that an index is computed from."""
        if reads_neurons(index):
            return self.neurons
        return self.maps if index.measure.held_out else self.rows

    def swap(self) -> Self:
        """Return those of the other direction."""
        swapped = {id(analysis): analysis.swap() for analysis in (self.rows, self.maps, self.neurons)}
        rows, maps, neurons = (swapped[id(analysis)] for analysis in (self.rows, self.maps, self.neurons))
        return replace(self, rows=rows, maps=maps, neurons=neurons)


def reads_neurons(index: Index) -> bool:
    """Return whether an index has to see the neurons themselves, however wide the rows.

    Ours do not: PWCCA, which weighs neurons, asks for them. One that a package adds, and that changes where rows are
    rotated, may look at single columns.
    """
    return index.measure.base not in INDICES and "rotation" not in index.measure.invariances


@dataclass(frozen=True, eq=False)
class Pair:
    """One ordered pair of representations and what is asked of it; maps are fitted on `held_out`, if there is any."""

    scored: ArraySummaries
    held_out: HeldOutSummaries | None
    source: str
    target: str
    indices: tuple[Index, ...]

    def swap(self) -> Pair:
        """Return the other direction."""
        return replace(self, source=self.target, target=self.source)

    def analyses(self) -> Analyses:
        """Form the products of this direction, those of a fit only where a map is asked for."""
        neurons = self._over_neurons() if any(map(reads_neurons, self.indices)) else None
        maps = {index.measure.held_out for index in self.indices if not reads_neurons(index)}
        if neurons is not None and not maps:
            return Analyses(neurons, neurons, neurons)
        if self.held_out is None or maps == {False}:
            pair = self.scored.pair(self.source, self.target)
            rows = fitted = Analysis(pair, pair, self._storage_eps)
        else:
            train, pair = self.held_out.pairs(self.source, self.target)
            rows = fitted = Analysis(pair, train, self._storage_eps)
            if maps != {True} and not self.held_out.as_scored(self.source, self.target):
                rows = Analysis(self.scored.pair(self.source, self.target), None, self._storage_eps)
        return Analyses(rows, fitted, neurons or rows)

    def _over_neurons(self) -> Analysis:
        pair = self.scored.pair(self.source, self.target, narrowed=False)
        train = pair if self.held_out is None else self.held_out.train_over_neurons(self.source, self.target)
        return Analysis(pair, train, self._storage_eps)

    @property
    def _storage_eps(self) -> tuple[float, float]:
        return self.scored.spacing[self.source], self.scored.spacing[self.target]


def both_directions(pair: Pair) -> Numbers:
    """Return the numbers of a pair and of its reverse, which on the same grid needs no product of its own."""
    n_samples = len(pair.scored.samples[pair.source])

    def numbers(source: str, target: str, analyses: Analyses) -> Numbers:
        return {
            (source, target, index.name): _number(index, analyses.of(index), n_samples)
            for index in pair.indices
        }

    forth = pair.analyses()
    of_both = numbers(pair.source, pair.target, forth)
    if pair.source != pair.target:
        # A comparison is made on the target's grid. On one grid for both, XY of the reverse is the
        # transpose of this one.
        shared = pair.scored.grid(pair.source) == pair.scored.grid(pair.target)
        back = forth.swap() if shared else pair.swap().analyses()
        of_both |= numbers(pair.target, pair.source, back)
    return of_both


def _number(index: Index, analysis: Analysis, n_samples: int) -> Number:
    """Return the value of an index, or the reason why there is none."""
    # A view by positions gives several rows for each sample.
    rows = analysis.pair.n // n_samples
    if index.measure.independent_rows and rows > 1:
        reason = (
            f"the estimator takes rows for independent, here {rows} come from one sample: pool or flatten"
        )
        return Number.missing("dependent_rows", reason)
    number = index.number(analysis)
    return number if rows > 1 or number.value is None else _with_effect_size(index, analysis, number)


def _with_effect_size(index: Index, analysis: Analysis, number: Number) -> Number:
    """Return a number with where it stands in its null, if that has a closed form."""
    sums = None if index.null_moments is None else GramSums.of_pair(analysis.pair)
    null = None if sums is None else index.closed_null(*sums)
    if null is None:
        return number
    told = {name: value.item() for name, value in null.beside(np.asarray(number.value)).items()}
    return number.beside(**{name: None if isnan(value) else value for name, value in told.items()})
