"""Numbers of a run, chosen step by step and read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stitchpipe.asking.ends import EVERYTHING, measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.measured import demand_known
from stitchpipe.asking.selection import Selection
from stitchpipe.results import COLUMNS, frame_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from stitchpipe.asking.ends import Ends
    from stitchpipe.run.place import RunPlace

SHOWN = 10
"""Rows that a picture of numbers in a notebook has."""


@dataclass(frozen=True)
class Numbers:
    """Some of a run's numbers: nothing is read before they are asked for.

    Every step returns a new selection and leaves this one as it is. Names that are none are refused when numbers are
    read, with the nearest right ones.

    Attributes
    ----------
    place
        Of the run.
    measures
        Only these; empty for all.
    source, target
        Only pairs of these layers.

    Examples
    --------
    >>> cka = run.measures("cka", source="A/*", target="B/*")          # doctest: +SKIP
    >>> cka.where(view="pooled").filter("p_family < .05").to_pandas()   # doctest: +SKIP
    """

    place: RunPlace
    measures: tuple[str, ...] = ()
    source: Ends = EVERYTHING
    target: Ends = EVERYTHING
    columns: tuple[str, ...] = ()
    selection: Selection = field(default=Selection())

    def where(self, **columns: Any) -> Numbers:
        """Return the numbers that have these values in their columns: one, one of a list, or None for null."""
        return replace(self, selection=self.selection.equal(**columns))

    def filter(self, condition: str, *values: Any) -> Numbers:
        """Return the numbers that a condition in SQL holds for; `values` stand for its question marks."""
        return replace(self, selection=self.selection.where(condition, *values))

    def select(self, *columns: str) -> Numbers:
        """Return the same numbers with these columns alone; the fewer, the less is read."""
        known = [column.name for column in COLUMNS]
        for name in columns:
            if name not in known:
                raise WorkspaceError.unknown("results", "a column of the results", name, known)
        return replace(self, columns=columns)

    def to_arrow(self) -> pa.Table:
        """Return the numbers as an Arrow table.

        Raises
        ------
        WorkspaceError
            A measure, a layer or a column that is none.
        stitchpipe.results.QueryError
            There are no results, a condition is wrong, or the answer takes too much memory.
        stitchpipe.results.CatalogueError, storage.CorruptError
            A file of the results is of another version, or damaged.

        Notes
        -----
        Reads the chosen columns and the row groups that can hold such numbers; memory is the answer's. Each file is
        held against its digest before its first use in a process.
        """
        return self._asked(self._listed())

    def to_pandas(self) -> pd.DataFrame:
        """Return the numbers as a data frame; see `to_arrow`."""
        return frame_of(self.to_arrow())

    def head(self, n: int = SHOWN) -> pd.DataFrame:
        """Return the first `n` of the numbers as a data frame."""
        return frame_of(self._asked(self._listed(), f"LIMIT {int(n)}"))

    def __len__(self) -> int:
        return int(self._asked("count(*) AS n")["n"][0].as_py())

    def _repr_html_(self) -> str:
        """Return the first rows, less columns that are empty in all of them, and how many there are: for notebooks."""
        shown = self.head().dropna(axis="columns", how="all")
        return f"{shown.to_html(index=False, na_rep='')}<p>{len(self):,} numbers</p>"

    def _listed(self) -> str:
        return ", ".join(f'"{name}"' for name in self.columns) or "*"

    def _asked(self, columns: str, behind: str = "") -> pa.Table:
        selection = self.selection
        if self.measures:
            selection = selection.equal(index=demand_known(self.place, self.measures))
        if (self.source, self.target) != (EVERYTHING, EVERYTHING):
            layers = measured_layers(self.place)
            for side, ends in (("source", self.source), ("target", self.target)):
                if ends != EVERYTHING:
                    selection = selection.of(side, layers.matching(ends))
        return selection.ask(self.place, columns, behind)
