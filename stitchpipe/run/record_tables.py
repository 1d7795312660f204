"""Rows of records as columns: what a run knows beside its results is asked as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Columns = Mapping[str, tuple[pa.DataType, str]]
    """Type and meaning of every column, in their order."""


def record_table(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows in columns of these types; null where a row lacks one."""
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], kind) for name, (kind, _) in columns.items()}
    )
