"""The numbers of a measure of pairs of layers: one of each pair, or a refusal that says what tells them apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.asking.selection import Selection, demand_one
from stitchpipe.results import MAKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.asking.measured import Measured
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace

PAIR = ("source_model", "source_layer", "target_model", "target_layer")
TELLING = ("index", "view", "key", *MAKING)
"""The columns that tell several numbers of one pair apart."""


@dataclass(frozen=True)
class PairNumbers:
    """Which pairs are asked for, and of which measure.

    Attributes
    ----------
    choice
        Which stitches, for measures of stitches.
    """

    place: RunPlace
    measured: Measured
    sources: Sequence[LayerName]
    targets: Sequence[LayerName]
    choice: Mapping[str, Any] = field(default_factory=dict)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns beside those of the ends, one row for each pair that has a number or a reason for none.

        Raises
        ------
        SeveralNumbersError
            A pair has several numbers, of stitches that were made in several ways, or of several declarations of which
            none is the run's own.

        Notes
        -----
        Some hundred bytes for each pair. Several numbers of a pair cost a second reading and the keys of the run.
        """
        selection = Selection().equal(index=self.measured.name, view=self.measured.view)
        selection = selection.between(self.sources, self.targets).of_stitches(self.choice)
        table = self._asked(selection, [*PAIR, *columns])
        if not _repeats(table):
            return table
        told = self._asked(selection, list(dict.fromkeys([*PAIR, *columns, *TELLING])))
        return one_of_each(self.place, told, self.measured).select([*PAIR, *columns])

    def _asked(self, selection: Selection, columns: Sequence[str]) -> pa.Table:
        return selection.ask(self.place, ", ".join(f'"{name}"' for name in columns))


def one_of_each(place: RunPlace, told: pa.Table, measured: Measured) -> pa.Table:
    """Return the rows of a measure that are one for each pair: where there are several, those of the declaration.

    Parameters
    ----------
    told
        With the columns `PAIR` and `TELLING`.

    Raises
    ------
    SeveralNumbersError
        A pair has several all the same.
    """
    if not _repeats(told):
        return told
    if told["method"].null_count:
        # Keys are formed with what the stitching room declares, whose import takes a second.
        from stitchpipe.asking.declared import of_the_declaration  # noqa: PLC0415

        told = of_the_declaration(place, told)
    for pair in _repeats(told)[:1]:
        same = told
        for name, value in zip(PAIR, pair, strict=True):
            same = same.filter(pc.equal(same[name], value))
        demand_one(same, f"{measured.name} of {pair[0]}/{pair[1]} and {pair[2]}/{pair[3]}")
    return told


def _repeats(table: pa.Table) -> list[tuple[str, ...]]:
    """Return the pairs that have several rows."""
    counts = table.group_by(list(PAIR)).aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1)).select(list(PAIR))
    return [tuple(row[name] for name in PAIR) for row in several.slice(0, 1).to_pylist()]
