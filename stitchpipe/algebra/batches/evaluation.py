"""Every index of a batch of pairs, in columns: stacks where all is well, pair by pair where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.batches.slices import slices
from stitchpipe.algebra.errors import AlgebraError
from stitchpipe.measures import OK, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches.pair_batch import PairBatch
    from stitchpipe.algebra.batches.slices import Floats
    from stitchpipe.algebra.batches.values import BatchValues
    from stitchpipe.measures import Measure

    BatchFormula: TypeAlias = "Callable[[PairBatch, Measure], BatchValues | None]"

Note: TypeAlias = tuple[str, str | None]
"""A status, and the reason or remark beside it."""


class Evaluated(Protocol):
    """What is asked of an index (`stitchpipe.algebra.Index`)."""

    @property
    def measure(self) -> Measure:
        """What there is to know of it."""

    @property
    def of_batch(self) -> BatchFormula | None:
        """Its values for a batch of pairs; None where there is only the formula of a pair."""

    def number(self, analysis: Analysis) -> Number:
        """Return its number for one pair, or the reason why there is none."""


@dataclass(frozen=True, eq=False)
class BatchNumbers:
    """The numbers of K indices for B pairs.

    Attributes
    ----------
    values
        ``[K, B]``, NaN where there is none.
    rank, condition
        ``[K, B]``, NaN where there is none, or where the index inverts nothing.
    codes
        ``[K, B]``: the place of each number's status and reason in `notes`; 0 for a value without a remark.
    notes
        Every status and reason that occurs, ``("ok", None)`` first.
    """

    values: Floats
    rank: Floats
    condition: Floats
    codes: npt.NDArray[np.int32]
    notes: tuple[Note, ...]

    def number(self, index: int, pair: int) -> Number:
        """Return one number as a value of its own."""
        status, reason = self.notes[self.codes[index, pair]]
        value = float(self.values[index, pair])
        rank, condition = (float(column[index, pair]) for column in (self.rank, self.condition))
        return Number(value if status == OK else None, status, reason).beside(
            rank=None if np.isnan(rank) else int(rank),
            condition=None if np.isnan(condition) else condition,
        )


def evaluate(batch: PairBatch, indices: Sequence[Evaluated]) -> BatchNumbers:
    """Return the numbers of all pairs of a batch, from source to target.

    Each is what `Index.number` gives for the pair, to rounding, and does not depend on the other pairs: not in a bit.

    Raises
    ------
    AlgebraError, MomentsError
        As `Index.value`.
    """
    columns = _Columns(len(indices), len(batch))
    for rows in slices(len(batch), batch.x.p, batch.y.p):
        part = batch.part(rows)
        for place in _in_order(indices):
            columns.fill(place, rows.start, part, indices[place])
    return columns.numbers()


def evaluate_both(batch: PairBatch, indices: Sequence[Evaluated]) -> tuple[BatchNumbers, BatchNumbers]:
    """Return the numbers of all pairs of a batch in both directions; raises as `evaluate`.

    A symmetric index is computed once. A refusal is not copied, because it names the side at fault: the other direction
    is then asked for its own.
    """
    forth, back = (_Columns(len(indices), len(batch)) for _ in range(2))
    for rows in slices(len(batch), batch.x.p, batch.y.p):
        part = batch.part(rows)
        for place in _in_order(indices):
            forth.fill(place, rows.start, part, indices[place])
            if indices[place].measure.symmetric:
                back.copy(place, rows, forth)
                back.ask(place, rows.start, part.swap(), indices[place])
            else:
                back.fill(place, rows.start, part.swap(), indices[place])
    return forth.numbers(), back.numbers()


def _in_order(indices: Sequence[Evaluated]) -> list[int]:
    """Return the places of the indices, those that treat the sides differently first.

    They need what the symmetric ones need and more, such as the rotations of correlations beside the values.
    """
    return sorted(range(len(indices)), key=lambda place: indices[place].measure.symmetric)


class _Columns:
    """The numbers of a batch while they are filled in."""

    def __init__(self, indices: int, pairs: int) -> None:
        self.values, self.rank, self.condition = (np.full((indices, pairs), np.nan) for _ in range(3))
        self.codes = np.zeros((indices, pairs), dtype=np.int32)
        self.notes: dict[Note, int] = {(OK, None): 0}

    def fill(self, place: int, start: int, part: PairBatch, index: Evaluated) -> None:
        """Evaluate an index for the pairs from `start` on."""
        found = None if index.of_batch is None else index.of_batch(part, index.measure)
        if found is not None:
            _check(found, part, index)
            rows = slice(start, start + len(part))
            known = np.isfinite(found.values)
            self.values[place, rows] = np.where(known, found.values, np.nan)
            for column, extra in ((self.rank, found.rank), (self.condition, found.condition)):
                if extra is not None:
                    column[place, rows] = np.where(known, extra, np.nan)
        self.ask(place, start, part, index)

    def ask(self, place: int, start: int, part: PairBatch, index: Evaluated) -> None:
        """Ask the formula of one pair for the pairs from `start` on that have no number."""
        for i in np.flatnonzero(np.isnan(self.values[place, start : start + len(part)])):
            number = index.number(part.pair(int(i)))
            at = place, start + int(i)
            self.codes[at] = self.notes.setdefault((number.status, number.reason), len(self.notes))
            if number.value is not None:
                self.values[at] = number.value
            self.rank[at] = number.extras.get("rank", np.nan)
            self.condition[at] = number.extras.get("condition", np.nan)

    def copy(self, place: int, rows: slice, other: _Columns) -> None:
        """Take the numbers of the other direction and what is remarked on them; where it has none there is none yet."""
        self.values[place, rows] = other.values[place, rows]
        self.rank[place, rows] = other.rank[place, rows]
        self.condition[place, rows] = other.condition[place, rows]
        remarks = list(other.notes)
        for at in np.flatnonzero(np.isfinite(other.values[place, rows]) & (other.codes[place, rows] > 0)):
            remark = remarks[other.codes[place, rows.start + at]]
            self.codes[place, rows.start + at] = self.notes.setdefault(remark, len(self.notes))

    def numbers(self) -> BatchNumbers:
        return BatchNumbers(self.values, self.rank, self.condition, self.codes, tuple(self.notes))


def _check(found: BatchValues, part: PairBatch, index: Evaluated) -> None:
    columns = (found.values, found.rank, found.condition)
    shapes = {np.shape(column) for column in columns if column is not None}
    if shapes != {(len(part),)}:
        raise AlgebraError(
            where=index.measure.name,
            expected=f"one value for each of {len(part)} pairs from its formula for batches",
            found=f"shapes {', '.join(map(str, sorted(shapes)))}",
            remedy="Correct the formula, or leave it out: there is that of one pair.",
        )
