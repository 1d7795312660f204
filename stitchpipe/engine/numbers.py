"""What the engine gives: the numbers of directed pairs of layers under a view, in columns.

A comparison of a few hundred layers has millions of numbers. They travel as arrays, one entry a number, and nothing
that is the same for a whole view or index is repeated for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.measures import OK, Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Self

    from stitchpipe.engine.planning.pairs import Pair
    from stitchpipe.rows import View

Int32: TypeAlias = npt.NDArray[np.int32]
Float64: TypeAlias = npt.NDArray[np.float64]
Note: TypeAlias = tuple[str, str | None]
"""Status and reason of a number."""

DEFINED: Final[Note] = (OK, None)
"""The note of a number that is there and needs no remark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairNumber:
    """One index of a directed pair: its number, or the reason why there is none.

    Attributes
    ----------
    pair
        Source and target, as places among the layers of the comparison.
    n_samples, n_rows
        Images and rows of the view that were scored; no rows where the two cannot be compared.
    """

    view: View
    pair: Pair
    index: str
    number: Number
    n_samples: int
    n_rows: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PairNumbers:
    """Numbers of directed pairs under one view, one entry each. Picklable, and all arrays are ``[n]`` but `pairs`.

    Whoever planned the comparison knows the layers by their places, and the split; names, digests, grids, widths and
    keys are not the engine's.

    Attributes
    ----------
    pairs
        ``[n, 2]``, source and target, as places among the layers of the comparison.
    names, index
        The indices that occur, and which of them each number is.
    values
        NaN where there is no number.
    notes, note
        The (status, reason) that occur, and which of them each number has.
    extras
        What stands beside the numbers, by its name in `measures.EXTRAS`; NaN where there is nothing.
    n_samples, n_rows
        Images and rows of the view that were scored.
    """

    view: View
    pairs: Int32
    names: tuple[str, ...]
    index: npt.NDArray[np.int16]
    values: Float64
    notes: tuple[Note, ...]
    note: Int32
    extras: Mapping[str, Float64]
    n_samples: npt.NDArray[np.int64]
    n_rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, view: View, records: Sequence[PairNumber]) -> Self:
        """Return single records in columns."""
        names = tuple(dict.fromkeys(record.index for record in records))
        notes = tuple(dict.fromkeys((record.number.status, record.number.reason) for record in records))
        extras = dict.fromkeys(name for record in records for name in record.number.extras)
        return cls(
            view=view,
            pairs=np.array([record.pair for record in records], np.int32).reshape(-1, 2),
            names=names,
            index=np.array([names.index(record.index) for record in records], np.int16),
            values=_floats(record.number.value for record in records),
            notes=notes,
            note=np.array(
                [notes.index((record.number.status, record.number.reason)) for record in records], np.int32
            ),
            extras={name: _floats(record.number.extras.get(name) for record in records) for name in extras},
            n_samples=np.array([record.n_samples for record in records], np.int64),
            n_rows=np.array([record.n_rows for record in records], np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[PairNumbers]) -> Self:
        """Return the numbers of one or more parts of a view, one part after the other."""
        names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        index = [np.array([names.index(name) for name in part.names], np.int16)[part.index] for part in parts]
        note = [np.array([notes.index(note) for note in part.notes], np.int32)[part.note] for part in parts]
        extras = dict.fromkeys(name for part in parts for name in part.extras)
        return cls(
            view=parts[0].view,
            pairs=np.concatenate([part.pairs for part in parts]),
            names=names,
            index=np.concatenate(index),
            values=np.concatenate([part.values for part in parts]),
            notes=notes,
            note=np.concatenate(note),
            extras={
                name: np.concatenate([part.extras.get(name, np.full(len(part), np.nan)) for part in parts])
                for name in extras
            },
            n_samples=np.concatenate([part.n_samples for part in parts]),
            n_rows=np.concatenate([part.n_rows for part in parts]),
        )

    def records(self) -> Iterator[PairNumber]:
        """Yield the numbers one by one: for few of them."""
        for at, value in enumerate(self.values.tolist()):
            beside = {name: of_all[at].item() for name, of_all in self.extras.items()}
            number = Number(None if isnan(value) else value, *self.notes[self.note[at]])
            yield PairNumber(
                view=self.view,
                pair=(int(self.pairs[at, 0]), int(self.pairs[at, 1])),
                index=self.names[self.index[at]],
                number=number.beside(
                    **{name: None if isnan(extra) else extra for name, extra in beside.items()}
                ),
                n_samples=int(self.n_samples[at]),
                n_rows=int(self.n_rows[at]),
            )

    def remarked(self, remarks: Mapping[str, str]) -> PairNumbers:
        """Return the numbers with a remark, by index, beside those that are there and have none."""
        notes, note = list(self.notes), self.note.copy()
        for code, name in enumerate(self.names):
            if name in remarks and DEFINED in self.notes:
                here = (self.index == code) & (self.note == self.notes.index(DEFINED))
                note[here] = len(notes)
                notes.append((OK, remarks[name]))
        return self.with_columns(notes=tuple(notes), note=note)

    def back(self) -> PairNumbers:
        """Return the numbers of symmetric indices in the other direction, which a layer with itself has not."""
        pairs = self.pairs
        there = self.where(pairs[:, 0] != pairs[:, 1])
        return there.with_columns(pairs=there.pairs[:, ::-1])

    def where(self, chosen: npt.NDArray[np.bool_]) -> PairNumbers:
        """Return some of the numbers, ``chosen [n]``."""
        columns = ("pairs", "index", "values", "note", "n_samples", "n_rows")
        extras = {name: of_all[chosen] for name, of_all in self.extras.items()}
        return self.with_columns(extras=extras, **{name: getattr(self, name)[chosen] for name in columns})

    def with_columns(self, **columns: Any) -> PairNumbers:
        """Return the numbers with other columns in place of some."""
        held = {name: getattr(self, name) for name in self.__slots__}
        return PairNumbers(**{**held, **columns})


def _floats(numbers: Iterable[float | None]) -> Float64:
    """Return numbers as an array, NaN where there is none."""
    return np.array([np.nan if number is None else number for number in numbers], np.float64)
