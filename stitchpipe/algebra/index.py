"""What an index is: what there is to know of it, and how its number comes about."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from stitchpipe.algebra.certainty.closed_null import closed_null
from stitchpipe.algebra.certainty.permutation_null import permutation_null
from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.measures import Measure, Number, NumberError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import BatchValues, PairBatch
    from stitchpipe.algebra.certainty.closed_null import ClosedNull, GramSums, NullSums
    from stitchpipe.algebra.certainty.linear_null import LinearIndex
    from stitchpipe.algebra.certainty.permutation_null import PermutationNull
    from stitchpipe.algebra.inputs import Array
    from stitchpipe.algebra.samples.grams import SampleGram

    Formula: TypeAlias = "Callable[[Analysis, Measure], IndexValue | float]"
    BatchFormula: TypeAlias = "Callable[[PairBatch, Measure], BatchValues | None]"
    Side: TypeAlias = "Callable[[SampleGram], Any]"
    Permuted: TypeAlias = "Callable[[Sequence[Any], Sequence[Any], Array], PermutationNull]"


@dataclass(frozen=True)
class IndexValue:
    """A value, with the rank and the conditioning it rests on where the index inverts anything.

    Attributes
    ----------
    remark
        What a reader should know beside the value, in a sentence; of a symmetric index the same in both directions.
    """

    value: float
    rank: int | None = None
    condition: float | None = None
    remark: str | None = None


@dataclass(frozen=True)
class Index:
    """An index: its facts beside its formula. An installed package adds one as an entry point of this class.

    Attributes
    ----------
    measure
        What there is to know of it.
    of_moments
        Its value from the moments of a pair; None where it is computed from something else. It is given the pair's
        `Analysis` and the measure, which holds the parameter that was asked for; it returns an `IndexValue`, or a
        float, and raises `UndefinedIndexError` where there is no value.
    of_gram
        A layer's side of it from the inner products of its images; None where there is no such form. By default that
        is a `SampleMatrix`, and the index of two layers is the inner product of theirs. An index of moments that has
        this form too is computed by it where layers have more features than there are images.
    permuted
        All pairs of the sides of some sources and targets, as they are and in each of some orders of the images.
    of_batch
        Of an index of moments: its values for a batch of pairs at once (`stitchpipe.algebra.batches`), as far as it
        vouches for them. None where there is no such formula; `of_moments` is then asked for pair after pair.
    linear_null
        Of an index of moments: the null that is formed from principal scores for all such indices at once.
    null_moments
        Of an index of moments whose null has a closed form: what that needs of a layer's matrix, from the sums over its
        linear Gram. Of an index of images it is had from the side itself, which is a matrix whose rows sum to zero.

    Raises
    ------
    AlgebraError
        The facts and the formulas do not belong together.
    """

    measure: Measure
    of_moments: Formula | None = None
    of_gram: Side | None = None
    permuted: Permuted = permutation_null
    linear_null: LinearIndex | None = None
    of_batch: BatchFormula | None = None
    null_moments: Callable[[GramSums], NullSums] | None = None

    def __post_init__(self) -> None:
        basis, name = self.measure.computed_from, self.measure.name
        needs = {"moments": self.of_moments, "samples": self.of_gram}
        null = self.linear_null is not None or self.of_gram is not None
        checks = {
            "the kind 'index'": self.measure.kind == "index",
            "a name of letters, digits and underscores": re.fullmatch(r"\w+(\([^()]*\))?", name) is not None,
            f"a formula of {basis}": basis not in needs or needs[basis] is not None,
            "no formula of moments": basis == "moments" or (self.of_moments or self.of_batch) is None,
            "a formula of the Gram or of principal scores, for its null": self.measure.null is None or null,
            "a formula of the Gram, and of sums over it if it is one of moments, for its null in closed form": (
                not self.measure.closed_null
                or (self.of_gram is not None and (basis != "moments" or self.null_moments is not None))
            ),
        }
        for expected, holds in checks.items():
            if not holds:
                raise AlgebraError(
                    where=f"declaration of the index '{name}'",
                    expected=expected,
                    found=f"a measure of kind '{self.measure.kind}', computed from {basis}",
                    remedy="Declare what its formulas are.",
                )

    @property
    def name(self) -> str:
        """As in results and in sweeps, its parameter included."""
        return self.measure.name

    def with_parameter(self, value: float) -> Index:
        """Return the index with another value of its parameter."""
        measure = self.measure.with_parameter(value)
        return self if measure is self.measure else replace(self, measure=measure)

    def value(self, analysis: Analysis) -> IndexValue:
        """Return the value of a pair from its moments.

        Raises
        ------
        UndefinedIndexError
            It has no value here; its ``status`` and ``reason`` say why.
        AlgebraError
            A held-out index without rows to fit on, or an index of something else than moments.
        MomentsError
            The moments do not belong together, or lack the norm products of debiased CKA.
        """
        if self.of_moments is None:
            raise AlgebraError(
                where=self.name,
                expected=f"{self.measure.computed_from}, which this index is computed from",
                found="moments of rows",
                remedy="Use its own function, or leave it out here.",
            )
        try:
            value = self.of_moments(analysis, self.measure)
        except UndefinedIndexError as undefined:
            raise undefined.within(self.name) from None
        if isinstance(value, IndexValue):
            return value
        try:
            return IndexValue(float(value))
        except (TypeError, ValueError):
            raise AlgebraError(
                where=self.name,
                expected="a number from its formula, or an UndefinedIndexError",
                found=f"a {type(value).__name__}",
                remedy="Correct the formula.",
            ) from None

    def closed_null(self, x: GramSums, y: GramSums) -> ClosedNull | None:
        """Return the null of pairs in closed form, from the sums of either side; None where it has no such form."""
        if self.null_moments is None:
            return None
        return closed_null(self.null_moments(x), self.null_moments(y))

    def number(self, analysis: Analysis) -> Number:
        """Return the value of a pair from its moments, or why it has none; raises as `value` for all else.

        NumberError where the formula gives what is no number.
        """
        try:
            value = self.value(analysis)
            return Number(value.value, reason=value.remark).beside(rank=value.rank, condition=value.condition)
        except UndefinedIndexError as undefined:
            return Number.missing(undefined.status, undefined.reason)
        except NumberError as error:
            raise error.within(f"the value of {self.name}") from None
