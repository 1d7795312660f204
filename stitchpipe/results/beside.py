"""Tables that a question may name beside the results: those that the run hands in, and the stitches, a row for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from stitchpipe import registry
from stitchpipe.results.result import MAKING
from stitchpipe.results.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pandas as pd
    import pyarrow as pa

Meanings: TypeAlias = Mapping[str, str]
"""Column → what it means."""
_DESCRIBES: Final = re.compile(r"duckdb_|information_schema|pragma|\bshow\b|\bcomment\b", re.IGNORECASE)
"""A question about the tables themselves, which needs all of them and their comments."""


@dataclass(frozen=True, slots=True)
class TableBeside:
    """A table that a question may name.

    Attributes
    ----------
    meaning
        What a row is.
    columns
        In their order.
    rows
        Makes it; called only where a question names it.
    """

    name: str
    meaning: str
    columns: Meanings
    rows: Callable[[], pa.Table]


RESULTS: Final[tuple[str, Meanings]] = (
    "a number: of a comparison, or of a stitch",
    {column.name: column.meaning for column in COLUMNS},
)
_ENDS: Final = (
    "source_model", "source_layer", "target_model", "target_layer", *MAKING, "final_loss", "n_samples", "p", "q", "key",
)  # fmt: skip
"""What is the same in all rows of a stitch."""
_OF_CLASSES: Final = "stitch_class_accuracy"
"""Has a row for each class, and no column here."""


def _measures() -> dict[str, str]:
    """Return the measures of stitches, by the name of their column."""
    names = (name for name in registry.OF_STITCHES if name != _OF_CLASSES)
    return {name.removeprefix("stitch_"): name for name in names}


def stitch_columns() -> Meanings:
    """Return the columns of the table `stitches`."""
    of_results = RESULTS[1]
    measures = {column: registry.OF_STITCHES[name].meaning for column, name in _measures().items()}
    return {**{name: of_results[name] for name in _ENDS}, **measures}


STITCHES_MEANING: Final = "a stitch, with its measures side by side"


def described_tables(tables: Iterable[TableBeside]) -> pd.DataFrame:
    """Return every column of every table that a question may name: ``table``, ``column``, ``meaning``."""
    import pandas as pd  # noqa: PLC0415 - the statement that makes a view needs none

    own = [("results", *RESULTS), ("stitches", STITCHES_MEANING, stitch_columns())]
    rows = [
        (name, column, told)
        for name, meaning, columns in [
            *own,
            *((table.name, table.meaning, table.columns) for table in tables),
        ]
        for column, told in [("", f"a row is {meaning}"), *columns.items()]
    ]
    return pd.DataFrame(rows, columns=["table", "column", "meaning"])


def put_beside(connection: duckdb.DuckDBPyConnection, sql: str, tables: Iterable[TableBeside]) -> None:
    """Give a database with the view `results` the other tables that a question names.

    Called before the database is locked.
    """
    describes = _DESCRIBES.search(sql) is not None
    if describes:
        _comment(connection, "results", *RESULTS)
    if describes or _names(sql, "stitches"):
        connection.execute(_stitches_view())
        if describes:
            _comment(connection, "stitches", STITCHES_MEANING, stitch_columns())
    for table in tables:
        if describes or _names(sql, table.name):
            connection.register("rows_handed_in", table.rows())
            connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM rows_handed_in")  # noqa: S608 (our own words)
            connection.unregister("rows_handed_in")
            if describes:
                _comment(connection, table.name, table.meaning, table.columns)


def _names(sql: str, table: str) -> bool:
    return re.search(rf"\b{table}\b", sql, re.IGNORECASE) is not None


def _stitches_view() -> str:
    ends = ", ".join(f'"{name}"' for name in _ENDS)
    measures = ", ".join(
        f'max(value) FILTER ("index" = \'{name}\') AS "{column}"' for column, name in _measures().items()
    )
    return (
        f"CREATE VIEW stitches AS SELECT {ends}, {measures} FROM results "  # noqa: S608  (our own words)
        f"WHERE method IS NOT NULL GROUP BY {ends}"
    )


def _comment(connection: duckdb.DuckDBPyConnection, table: str, meaning: str, columns: Meanings) -> None:
    kind = "VIEW" if table in ("results", "stitches") else "TABLE"
    connection.execute(f"COMMENT ON {kind} {table} IS {_quoted(meaning)}")
    for column, told in columns.items():
        connection.execute(f'COMMENT ON COLUMN {table}."{column}" IS {_quoted(told)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
