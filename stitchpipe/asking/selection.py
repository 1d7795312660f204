"""Which numbers are meant, as conditions of a statement: names travel as values beside it and are never read as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from stitchpipe.asking.errors import SeveralNumbersError, WorkspaceError, listed
from stitchpipe.results import COLUMNS, MAKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace


class TrainingChoice(TypedDict, total=False):
    """Which training is meant, where a pair of layers has several; what is left out may be anything."""

    init: str
    objective: str
    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augmented: int
    precision: str


class StitchChoice(TrainingChoice, total=False):
    """Which stitches are meant, of all methods."""

    method: str


@dataclass(frozen=True)
class Selection:
    """Conditions on numbers, all of which hold.

    Attributes
    ----------
    conditions
        In SQL, with question marks.
    values
        What stands for these.
    """

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def where(self, condition: str, *values: Any) -> Selection:
        """Return the selection with one condition more."""
        return Selection((*self.conditions, f"({condition})"), (*self.values, *values))

    def equal(self, **columns: Any) -> Selection:
        """Return the numbers that have these values in their columns: one, one of a list, or None for null.

        Raises
        ------
        WorkspaceError
            There is no such column.
        """
        selection = self
        names = [column.name for column in COLUMNS]
        for column, value in columns.items():
            if column not in names:
                raise WorkspaceError.unknown("results", "a column of the results", column, names)
            if value is None:
                selection = selection.where(f'"{column}" IS NULL')
            elif isinstance(value, list | tuple | set):
                selection = selection.where(f'"{column}" IN (SELECT unnest(?))', list(value))
            else:
                selection = selection.where(f'"{column}" = ?', value)
        return selection

    def between(self, sources: Sequence[LayerName], targets: Sequence[LayerName]) -> Selection:
        """Return the numbers of some pairs of layers."""
        return self.of("source", sources).of("target", targets)

    def of(self, side: str, layers: Sequence[LayerName]) -> Selection:
        """Return the numbers that have one of some layers on a side."""
        models, names = [name.model for name in layers], [name.layer for name in layers]
        selection = self
        # An equality is all that the database holds against the statistics of the files, before it reads them.
        if len(set(models)) == 1:
            selection = selection.where(f"{side}_model = ?", models[0])
        if len(set(names)) == 1:
            return selection.where(f"{side}_layer = ?", names[0]).where(
                f"{side}_model IN (SELECT unnest(?))", models
            )
        pair = f"({side}_model, {side}_layer)"
        return selection.where(
            f"{pair} IN (SELECT (unnest(?::VARCHAR[]), unnest(?::VARCHAR[])))", models, names
        )

    def ask(self, place: RunPlace, columns: str, behind: str = "") -> pa.Table:
        """Return some columns, given in SQL, of the numbers that are meant; `behind` follows the conditions."""
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        statement = f"SELECT {columns} FROM results{where} {behind}"  # noqa: S608  (our own words; names are values)
        return place.results.table(statement, self.values)

    def of_stitches(self, choice: Mapping[str, Any]) -> Selection:
        """Return the numbers of stitches that are made as chosen; those of comparisons where nothing is chosen."""
        if not choice:
            return self
        unknown = sorted(choice.keys() - set(MAKING))
        if unknown:
            raise WorkspaceError.unknown(
                "a choice of stitches", "what stitches differ in", unknown[0], MAKING
            )
        return self.equal(**choice)


def demand_one(table: pa.Table, where: str) -> None:
    """Refuse numbers of one thing that are several.

    Raises
    ------
    SeveralNumbersError
        Names the columns that they differ in, and the values there.
    """
    if len(table) < 2:
        return
    differing = {
        name: sorted(table[name].unique().to_pylist(), key=lambda value: (value is not None, str(value)))
        for name in table.column_names
        if name in MAKING and len(table[name].unique()) > 1
    }
    column, values = next(iter(differing.items()), ("", [None]))
    remedy = (
        f"Say which: {column}={values[0]!r} for example; {column} is {listed([str(value) for value in values])}."
        if differing
        else "They are of several declarations that were run here: `run.measures(…)` gives all with their keys."
    )
    raise SeveralNumbersError(
        where=where,
        expected="one number",
        found=f"{len(table)}" + (f", which differ in {', '.join(differing)}" if differing else ""),
        remedy=remedy,
    )
