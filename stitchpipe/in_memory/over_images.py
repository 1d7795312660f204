"""Indices that hold samples against each other, and p-values by permuting samples: all pairs of representations.

Kernels, neighbours and dissimilarities of samples rest on at most `MOST_IMAGES` of them, a seeded choice, because their
memory grows with the square. A sample is one row; where a view makes several of it there is no such index and no null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra.certainty import NullSums, closed_null, draw_permutations, linear_nulls
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.indices.agreement import PredictionSums
from stitchpipe.algebra.indices.cka_minibatch import BATCH_ROWS, MinibatchHSIC
from stitchpipe.algebra.samples import MOST_IMAGES, PrincipalScores, SampleGram
from stitchpipe.measures import Number
from stitchpipe.rows import to_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.algebra.certainty import ClosedNull, PermutationNull
    from stitchpipe.in_memory.pairs import Numbers
    from stitchpipe.in_memory.sample_groups import SampleGroups
    from stitchpipe.in_memory.summaries import ArraySummaries
    from stitchpipe.rows import Float64

BLOCK: Final = 12
"""Representations on either side whose sample matrices are held at once."""


@dataclass(frozen=True, eq=False)
class OverImages:
    """What is computed over samples of some representations.

    Attributes
    ----------
    asked
        Permutations of the null, and 0 for none.
    groups
        Of samples that belong together; None where each is on its own.
    """

    scored: ArraySummaries
    asked: int = 0
    groups: SampleGroups | None = None

    def numbers(self, index: Index) -> Numbers:
        """Return an index over samples, minibatches or logits of all ordered pairs.

        Notes
        -----
        Kernels: time O(n²·p) for each representation and O(K·n²) for each pair, K permutations and the value; memory
        8·n² bytes for each of two times `BLOCK` representations.
        """
        if self._rows_per_sample > 1:
            reason = f"it takes a sample for one row, here it has {self._rows_per_sample}: pool or flatten"
            return {
                (x, y, index.name): Number.missing("dependent_rows", reason)
                for x in self.scored.samples
                for y in self.scored.samples
            }
        by_basis = {"minibatches": self._minibatches, "logits": self._predictions}
        return by_basis.get(index.measure.computed_from, self._of_samples)(index)

    def p_values(self, indices: Sequence[Index]) -> Numbers:
        """Return where linear indices of moments stand in their nulls, ``p_value`` and ``calibrated`` beside no value.

        The value itself comes from all rows, and its null from the samples that are permuted. Where these are all there
        are, the closed form is here with three exact moments.
        """
        linear = {index.name: index.linear_null for index in indices if index.linear_null is not None}
        if not linear or not self.permutations or self._rows_per_sample > 1:
            return {}
        is_closed = self.groups is None
        closed = {
            index.name: self._null_sums(index) for index in indices if index.measure.closed_null and is_closed
        }
        is_whole = self.n == len(next(iter(self.scored.samples.values())))
        numbers: Numbers = {}
        sides, _ = self._sides(PrincipalScores.from_rows)
        for sources, targets in self._blocks(list(sides)):
            nulls = linear_nulls(
                [sides[name] for name in sources],
                [sides[name] for name in targets],
                self._orders,
                indices=tuple(dict.fromkeys(linear.values())),
            )
            for name, of_index in linear.items():
                of_block = self._calibrated(name, nulls[of_index], (sources, targets), closed.get(name))
                numbers |= {key: _of_permuted(number, is_whole=is_whole) for key, number in of_block.items()}
        return numbers

    @property
    def permutations(self) -> int:
        """How many permutations there are: those that are asked for, where samples can be exchanged."""
        return 0 if self.exchanged is not None and self.exchanged.lone_sizes else self.asked

    @cached_property
    def exchanged(self) -> SampleGroups | None:
        """The groups of the samples that indices over samples rest on."""
        return None if self.groups is None else self.groups.at(self._chosen)

    @property
    def n(self) -> int:
        """How many samples indices over samples rest on."""
        return len(self._chosen)

    @cached_property
    def _chosen(self) -> npt.NDArray[np.int64]:
        count = len(next(iter(self.scored.samples.values())))
        if self.groups is not None:
            return self.groups.chosen(MOST_IMAGES)
        if count <= MOST_IMAGES:
            return np.arange(count)
        # Samples may be sorted by class, so that the first of them are no fair sample.
        return np.sort(np.random.default_rng(0).permutation(count)[:MOST_IMAGES])

    @cached_property
    def _orders(self) -> npt.NDArray[Any]:
        if self.exchanged is not None and self.permutations:
            return self.exchanged.orders(self.permutations)
        return draw_permutations(self.n, max(1, self.permutations))

    @property
    def _rows_per_sample(self) -> int:
        """How many rows the view makes of a sample, of the representation that has most."""
        if self.scored.view != "positions":
            return 1
        return max(int(np.prod(self.scored.grid(name), dtype=np.int64)) for name in self.scored.samples)

    def _rows(self, name: str) -> Float64:
        """Return all samples of a representation as rows, one for each."""
        block, view = self.scored.samples[name], self.scored.view
        return np.asarray(
            block.reshape(len(block), -1) if view == "as_given" else to_rows(block, view), np.float64
        )

    def _sides(self, summarise: Any) -> tuple[dict[str, Any], dict[str, UndefinedIndexError]]:
        """Return each representation's side of an index, or why it has none."""
        sides, missing = dict[str, Any](), dict[str, UndefinedIndexError]()
        for name in self.scored.samples:
            try:
                sides[name] = summarise(self._rows(name)[self._chosen])
            except UndefinedIndexError as undefined:
                missing[name] = undefined
        return sides, missing

    def _of_samples(self, index: Index) -> Numbers:
        side = index.of_gram
        if side is None:
            raise ValueError(f"{index.name} is not computed from samples")
        sides, missing = self._sides(lambda rows: side(SampleGram.from_block(rows)))
        closed = None
        if index.measure.closed_null and self.groups is None:
            closed = {name: NullSums.of_matrix(matrix.whole) for name, matrix in sides.items()}
        numbers: Numbers = {}
        for sources, targets in self._blocks(list(sides)):
            null = index.permuted([sides[x] for x in sources], [sides[y] for y in targets], self._orders)
            numbers |= self._calibrated(index.name, null, (sources, targets), closed)
        for x in self.scored.samples:
            for y in self.scored.samples:
                if x in missing or y in missing:
                    numbers[x, y, index.name] = _refused(
                        missing[x] if x in missing else missing[y], index.name
                    )
        return numbers

    def _blocks(self, names: list[str]) -> Iterator[tuple[list[str], list[str]]]:
        """Yield blocks of names, sources and targets, on the diagonal or above it."""
        runs = [names[first : first + BLOCK] for first in range(0, len(names), BLOCK)]
        for place, sources in enumerate(runs):
            for targets in runs[place:]:
                yield sources, targets

    def _null_sums(self, index: Index) -> dict[str, NullSums]:
        """Return what the closed-form null of an index of moments needs of the samples that are permuted."""
        side = index.of_gram
        sides, _ = self._sides(
            lambda rows: None if side is None else NullSums.of_matrix(side(SampleGram.from_block(rows)).whole)
        )
        return {name: sums for name, sums in sides.items() if sums is not None}

    def _calibrated(
        self,
        name: str,
        null: PermutationNull,
        sides: tuple[list[str], list[str]],
        closed: Mapping[str, NullSums] | None,
    ) -> Numbers:
        """Return the numbers of a block in both directions: all such indices are symmetric."""
        beside = null.calibrated() if self.permutations else None
        sources, targets = sides
        numbers: Numbers = {}
        for i, x in enumerate(sources):
            for j, y in enumerate(targets):
                # Of a block on the diagonal either direction is there; the other stands for other permutations.
                if sources is targets and j < i:
                    continue
                if (i, j) in null.undefined:
                    number = _refused(null.undefined[i, j], name)
                else:
                    number = Number(float(null.observed[i, j]))
                    if beside is not None:
                        p_value, score = float(beside.p_value[i, j]), float(beside.score[i, j])
                        number = number.beside(p_value=p_value, calibrated=score, null_samples=self.n)
                    if closed is not None and x in closed and y in closed:
                        drawn = null.null[:, i, j] if self.permutations else None
                        number = _with_closed_form(number, closed_null(closed[x], closed[y]), drawn)
                numbers[x, y, name] = numbers[y, x, name] = number
        return numbers

    def _minibatches(self, index: Index) -> Numbers:
        """Return minibatch CKA, over batches of adjacent samples; the last of them counts if it has four."""
        names = list(self.scored.samples)
        rows = {name: self._rows(name) for name in names}
        count = len(rows[names[0]])
        batches = (
            MinibatchHSIC.from_batch([rows[name][first : first + BATCH_ROWS] for name in names])
            for first in range(0, count, BATCH_ROWS)
            if count - first >= 4
        )
        first = next(batches, None)
        total = None if first is None else reduce(MinibatchHSIC.merge, batches, first)
        numbers: Numbers = {}
        for i, x in enumerate(names):
            for j, y in enumerate(names):
                try:
                    if total is None:
                        numbers[x, y, index.name] = Number.missing("too_few_rows", "fewer than 4 samples")
                    else:
                        numbers[x, y, index.name] = Number(total.cka(i, j))
                except UndefinedIndexError as undefined:
                    numbers[x, y, index.name] = _refused(undefined, index.name)
        return numbers

    def _predictions(self, index: Index) -> Numbers:
        """Return how far representations agree in what they predict, those that are logits: one row, no positions."""
        samples, numbers = self.scored.samples, dict[tuple[str, str, str], Number]()
        for x, of_x in samples.items():
            for y, of_y in samples.items():
                if of_x.ndim != 2 or of_y.ndim != 2:
                    reason = "logits have one row for each sample and no positions"
                    numbers[x, y, index.name] = Number.missing("no_logits", reason)
                    continue
                try:
                    numbers[x, y, index.name] = Number(PredictionSums.from_block(of_x, of_y).agreement)
                except UndefinedIndexError as undefined:
                    numbers[x, y, index.name] = _refused(undefined, index.name)
        return numbers


def _with_closed_form(number: Number, closed: ClosedNull, drawn: Float64 | None) -> Number:
    """Return a number with where it stands in its null in closed form, and how far permuted values lie from that."""
    told = closed.beside(np.asarray(number.value))
    if drawn is not None:
        told["null_gap"] = closed.gap(np.asarray(drawn))
    return number.beside(**{name: None if np.isnan(value) else value.item() for name, value in told.items()})


def _of_permuted(number: Number, *, is_whole: bool) -> Number:
    """Return a number of permuted samples without what is known of all samples: there the closed form needs fewer.

    The effect size is that of all samples in either case; with three exact moments the p-value is the better one.
    """
    elsewhere = {"effect_size", "null_mean", *(() if is_whole else ("p_closed", "null_moments"))}
    return replace(
        number, extras={name: told for name, told in number.extras.items() if name not in elsewhere}
    )


def _refused(undefined: UndefinedIndexError, name: str) -> Number:
    refusal = undefined.within(name)
    return Number.missing(refusal.status, refusal.reason)
