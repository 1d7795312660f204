"""Results as Arrow tables: built from columns, and held against what a row must not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.errors import ExplainedError
from stitchpipe.measures import OK
from stitchpipe.results.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.results.result import Result
    from stitchpipe.results.schema import Kind


class ResultError(ExplainedError, ValueError):
    """A row contradicts itself: a number without status ok, or the other way round."""


_TYPES: dict[Kind, pa.DataType] = {"text": pa.string(), "whole number": pa.int64(), "number": pa.float64()}
CODED: Final = pa.dictionary(pa.int32(), pa.string())
"""Text in memory: a number a row, and each text once. Only keys, which hardly repeat, are texts of their own."""

SCHEMA: Final = pa.schema(
    [pa.field(column.name, _TYPES[column.kind], nullable=column.is_nullable) for column in COLUMNS]
)
"""The columns of a part."""

TEXTS: Final = tuple(column.name for column in COLUMNS if column.kind == "text" and column.name != "key")

IN_MEMORY: Final = pa.schema([field.with_type(CODED) if field.name in TEXTS else field for field in SCHEMA])
"""The same with texts as `CODED`."""
COUNTS: Final = ("n_samples", "n_rows", "p", "q")


def coded(texts: Sequence[str | None], codes: npt.NDArray[np.integer[Any]]) -> pa.DictionaryArray:
    """Return a column of text, given the texts that occur and which of them each row has, ``codes [n]``."""
    held = [text for text in texts if text is not None]
    # Among the texts there may be none, but not in a dictionary: there rows have no code instead.
    places = np.cumsum([text is not None for text in texts], dtype=np.int32) - 1
    absent = np.array([text is None for text in texts], np.bool_)
    indices = (
        pa.array(places[codes], pa.int32(), mask=absent[codes]) if len(codes) else pa.array([], pa.int32())
    )
    return pa.DictionaryArray.from_arrays(indices, pa.array(held, pa.string()))


def table_of(n: int, columns: Mapping[str, Any]) -> pa.Table:
    """Return a table of results from columns, ``[n]`` each.

    Parameters
    ----------
    n
        Rows.
    columns
        By name: an Arrow array, an array of numbers in which NaN stands for null, or one value for all rows. Columns
        that are not given are null.

    Raises
    ------
    ResultError
        See `demand_sound`; or a column that there is none of.
    """
    if unknown := columns.keys() - set(SCHEMA.names):
        raise ResultError(
            where="a table of results",
            expected="columns of `stitchpipe.results.COLUMNS`",
            found=", ".join(sorted(unknown)),
            remedy="Declare the column, or what stands beside a number in `stitchpipe.measures.EXTRAS`.",
        )
    arrays = [_array(n, field, columns.get(field.name)) for field in IN_MEMORY]
    table = pa.Table.from_arrays(arrays, names=IN_MEMORY.names)
    demand_sound(table)
    return table.cast(IN_MEMORY)


def table_of_results(results: Iterable[Result]) -> pa.Table:
    """Return single results as a table; `ResultError` as `demand_sound`."""
    return table_of_records([result.columns() for result in results])


def table_of_records(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows, given as mappings from column to value, as a table; what is missing is null."""
    columns = {
        field.name: pa.array([record.get(field.name) for record in records], field.type) for field in SCHEMA
    }
    return table_of(len(records), columns)


def _array(n: int, field: pa.Field, given: Any) -> pa.Array:
    """Return a column as an Arrow array of its type in memory."""
    if given is None:
        return pa.nulls(n, field.type)
    if isinstance(given, np.ndarray):
        numbers = np.asarray(given)
        absent = np.isnan(numbers) if numbers.dtype.kind == "f" else None
        if absent is not None and pa.types.is_integer(field.type):
            numbers = np.where(absent, 0.0, numbers).astype(np.int64)
        given = pa.array(numbers, mask=absent)
    elif isinstance(given, str):
        given = coded([given], np.zeros(n, np.int32))
    elif not isinstance(given, pa.Array | pa.ChunkedArray):
        given = pa.repeat(pa.scalar(given, field.type), n)
    return given if given.type == field.type else given.cast(field.type)


def demand_sound(table: pa.Table) -> None:
    """Refuse a table with a row that contradicts itself.

    Raises
    ------
    ResultError
        A value with another status than ok, none with ok, a number that is NaN or infinite, a count that cannot be,
        or nothing where a column must have something: the first such row.
    """
    for column in COLUMNS:
        held = table[column.name]
        if not column.is_nullable and held.null_count:
            _refuse(table, pc.is_null(held), column.name, "something", "Give the column a value.")
        if column.kind == "number":
            remedy = "Record a status that says why there is no number, and None."
            _refuse(table, pc.invert(pc.is_finite(held)), column.name, "a finite number or None", remedy)
        elif column.name in COUNTS:
            _refuse(table, pc.less(held, 0), column.name, "a count", "Pass the number of rows.")
    is_ok = pc.equal(table["status"].cast(pa.string()), OK)
    remedy = "Give a number with status 'ok', or None with the status that says why."
    _refuse(
        table,
        pc.xor(is_ok, pc.is_valid(table["value"])),
        "value",
        "a number exactly where the status is 'ok'",
        remedy,
    )


def _refuse(table: pa.Table, wrong: pa.ChunkedArray, column: str, expected: str, remedy: str) -> None:
    """Refuse the first row that is wrong, if any is."""
    at = pc.index(wrong, value=True).as_py()
    if at < 0:
        return
    row = {name: table[name][at].as_py() for name in ("index", "status", column)}
    source, target = (
        f"{table[f'{side}_model'][at].as_py()}/{table[f'{side}_layer'][at].as_py()}"
        for side in ("source", "target")
    )
    raise ResultError(
        where=f"{row['index']} of {source} -> {target}, {column}",
        expected=expected,
        found=f"{row[column]} with status '{row['status']}'",
        remedy=remedy,
    )
