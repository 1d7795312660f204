"""Rows as a table that fits the terminal: what is the same in all rows is said once, and what is left out is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from rich.console import RenderableType

MOST_ROWS: Final = 500
"""Rows that a table shows."""
_BESIDE: Final = 3
"""What a column takes beside its cells: a line and two blanks."""
_FOLDED: Final = 12
"""What a column of longer texts may be narrowed to before columns are left out."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as the terminal has it."""

    name: str
    cells: tuple[str, ...]
    is_numeric: bool

    @property
    def width(self) -> int:
        """The width of its longest cell."""
        return max(map(cell_len, (self.name, *self.cells)))

    @property
    def least_width(self) -> int:
        """How narrow it can be: numbers are never folded."""
        return self.width if self.is_numeric else min(self.width, _FOLDED)

    @property
    def is_constant(self) -> bool:
        """Whether all cells are the same."""
        return len({*self.cells}) == 1


def fitted(frame: pd.DataFrame, title: str | None = None, width: int | None = None) -> list[RenderableType]:
    """Return a data frame as a table, and lines that say what it leaves out.

    Where not all columns fit, those with one value in all rows are folded into a line. Where the rest does not fit
    either, the last columns are left out. A single row stands upright instead, with a line for each column.

    Parameters
    ----------
    width
        Of the terminal, in cells; default: what it says.
    """
    from stitchpipe.cli.console import SafeConsole

    room = SafeConsole().width if width is None else width
    columns = _columns(frame)
    more = len(frame) - MOST_ROWS
    notes = [f"and {more:,} more rows (--format csv has all)"] if more > 0 else []
    if _total(column.width for column in columns) <= room:
        return [_table(columns, title), *map(Text, notes)]
    if len(frame) == 1:
        return [_upright(columns, title)]
    # Of rows that are not shown nobody has looked whether they are the same.
    same = [column for column in columns if column.is_constant and more <= 0]
    kept = [column for column in columns if column not in same]
    gone: list[str] = []
    while len(kept) > 1 and _total(column.least_width for column in kept) > room:
        gone.insert(0, kept.pop().name)
    if told := [f"{column.name} {column.cells[0]}" for column in same if column.cells[0]]:
        notes.append(f"In all {len(frame)} rows: {', '.join(told)}.")
    if empty := [column.name for column in same if not column.cells[0]]:
        notes.append(f"Empty in all of them: {', '.join(empty)}.")
    if gone:
        notes.append(f"Left out, for want of width: {', '.join(gone)} (--format csv has everything).")
    return [_table(kept, title), *map(Text, notes)]


def cell(value: Any) -> str:
    """Return a value as a cell has it: numbers to six significant digits, missing ones empty."""
    if getattr(value, "ndim", 0):  # a list of the database's
        return str(value.tolist())
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _columns(frame: pd.DataFrame) -> list[_Column]:
    # By position, not by name: SQL allows two columns of one name.
    return [
        _Column(
            str(name),
            tuple(cell(value) for value in frame.iloc[:MOST_ROWS, at]),
            frame.dtypes.iloc[at].kind in "iuf",
        )
        for at, name in enumerate(frame.columns)
    ]


def _total(widths: Iterable[int]) -> int:
    return 1 + sum(width + _BESIDE for width in widths)


def _table(columns: Sequence[_Column], title: str | None) -> Table:
    view = Table(title=None if title is None else Text(title), title_justify="left")
    for column in columns:
        view.add_column(
            Text(column.name),
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            min_width=column.least_width,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        view.add_row(*map(Text, row))
    return view


def _upright(columns: Sequence[_Column], title: str | None) -> Table:
    """Return one row with a line for each of its columns."""
    view = Table(title=None if title is None else Text(title), title_justify="left", show_header=False)
    view.add_column(no_wrap=True)
    view.add_column(overflow="fold")
    for column in columns:
        view.add_row(Text(column.name), Text(column.cells[0]))
    return view
