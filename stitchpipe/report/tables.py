"""Data frames as tables of a page: cells with a short text, the exact value beside it, and an alignment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MISSING = "–"
LIMIT = 120
"""Rows of a table on the page; the rest is in the results."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: `text` to read, `exact` on hover (empty where it says no more), numbers flush right as their column."""

    text: str
    exact: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of at most `LIMIT` rows, and how many were left out."""

    columns: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int


def table_of(frame: pd.DataFrame) -> Table:
    """Return a data frame as a table; columns without any value are dropped."""
    filled = frame.dropna(axis="columns", how="all")
    heads, columns = [], []
    for number, name in enumerate(filled.columns):
        cells = [cell(value) for value in filled.iloc[:LIMIT, number].tolist()]
        numeric = any(part.numeric for part in cells)
        heads.append(Cell(str(name).replace("_", " "), "", numeric))
        columns.append([replace(part, numeric=numeric) for part in cells])
    return Table(tuple(heads), tuple(zip(*columns, strict=True)), max(len(filled) - LIMIT, 0))


def cell(value: Any) -> Cell:
    """Return a value as a cell: numbers to four significant digits, whole ones in full."""
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return Cell(MISSING, "", numeric=False)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value), "", numeric=False)
    if float(value).is_integer() and abs(value) < 1e15:
        whole = isinstance(value, int) or abs(value) > 1
        text = f"{int(value):,}".replace(",", "\u202f") if whole else f"{value:.3f}"
        return Cell(text.replace("-", "−"), "", numeric=True)
    short = f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.3f}"
    return Cell(short.replace("-", "−"), repr(float(value)), numeric=True)
