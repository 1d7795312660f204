"""A part of the results as a Parquet file: how it is encoded, and what its footer must say."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.results.schema import LATER
from stitchpipe.results.tables import IN_MEMORY, SCHEMA, TEXTS
from storage import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage import CheckedFile, CheckedFiles

ROW_GROUP_ROWS: Final = 1 << 17
SUFFIX: Final = ".parquet"

_DISTINCT: Final = (
    "value",
    "condition",
    "low",
    "high",
    "corrected",
    "calibrated",
    "effect_size",
    "null_mean",
    "p_closed",
    "null_gap",
    "calibrated_family",
    "floor",
    "final_loss",
)
"""Numbers of which hardly two are equal: their bytes are laid out by significance, which zstd then finds alike."""


class CatalogueError(ExplainedError, ValueError):
    """A part of the results cannot be written or read."""


def writer(sink: Any, schema: pa.Schema, *, is_sorted: bool) -> pq.ParquetWriter:
    """Return a writer of tables of results; keys are texts of their own where rows are sorted by index."""
    own = dict.fromkeys(_DISTINCT, "BYTE_STREAM_SPLIT")
    if is_sorted:
        own["key"] = "DELTA_LENGTH_BYTE_ARRAY"
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in own],
        column_encoding=own,
        write_page_checksum=True,
        store_schema=False,
    )


def encoded(table: pa.Table) -> bytes:
    """Return a table of results as the bytes of a part."""
    buffer = io.BytesIO()
    with writer(buffer, table.schema, is_sorted=False) as file:
        file.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return buffer.getvalue()


class PartFile(io.RawIOBase):
    """A part as an open file, read range by range from wherever it lies."""

    def __init__(self, files: CheckedFiles, part: CheckedFile) -> None:
        self._files, self._part, self._at = files, part, 0

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def seekable(self) -> bool:
        """Return that it is."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file; return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.n_bytes}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`."""
        stop = self._part.n_bytes if size < 0 else min(self._at + size, self._part.n_bytes)
        if stop <= self._at:
            return b""
        (data,) = self._files.place.read_ranges(self._part.key, [(self._at, stop)])
        self._at += len(data)
        return data


def is_folder(files: CheckedFiles) -> bool:
    """Return whether parts are files of this machine, so that programs open them by their paths."""
    return "://" not in files.place.url


def opened(files: CheckedFiles, part: CheckedFile) -> pq.ParquetFile:
    """Open a part that is known to be sound, as far as its footer; texts are read as `CODED`.

    Raises
    ------
    CatalogueError
        It is no Parquet file, lacks a column, or has another type in one.
    """
    path = files.place.path(part.key)
    with explained(path):
        metadata = pq.ParquetFile(_source(files, part, path)).metadata
        held = metadata.schema.to_arrow_schema()
        _demand_columns(path, held)
        return pq.ParquetFile(
            _source(files, part, path),
            metadata=metadata,
            read_dictionary=[name for name in TEXTS if name in held.names],
            page_checksum_verification=True,
        )


def _source(files: CheckedFiles, part: CheckedFile, path: str) -> str | PartFile:
    return path if is_folder(files) else PartFile(files, part)


_columns: dict[str, tuple[str, ...]] = {}
"""The columns of each part whose footer was looked at in this process, by digest."""


def columns_of(files: CheckedFiles, part: CheckedFile) -> tuple[str, ...]:
    """Return the columns of a part that is known to be sound; errors as `opened`. Its digest covers its footer."""
    if part.digest not in _columns:
        _columns[part.digest] = tuple(opened(files, part).schema_arrow.names)
    return _columns[part.digest]


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into a `CatalogueError`; what is gone is `NotFoundError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(
            where=path,
            expected="a part of the results",
            found="no such file",
            remedy="Ask again: somebody removed it a moment ago.",
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise CatalogueError(
            where=path,
            expected="a part of the results",
            found=first_line(error),
            remedy="Remove the file and run the sweep again: only its numbers are recomputed.",
        ) from None


def _demand_columns(path: str, held: pa.Schema) -> None:
    """Refuse a part that lacks a column, but for those that were added later, or has another type in one."""
    types = dict(zip(held.names, held.types, strict=True))
    wrong = [
        f"'{field.name}' {f'of type {types[field.name]}' if field.name in types else 'missing'}"
        for field in SCHEMA
        if (plain_type(types[field.name]) != field.type if field.name in types else field.name not in LATER)
    ]
    if wrong:
        raise CatalogueError(
            where=path,
            expected="a part of the results with the columns of this version",
            found=", ".join(wrong[:3]),
            remedy="Remove the file and run the sweep again: only its numbers are recomputed.",
        )


def plain_type(held: pa.DataType) -> pa.DataType:
    """Return a type without its dictionary."""
    return held.value_type if pa.types.is_dictionary(held) else held


def conformed(table: pa.Table, schema: pa.Schema = IN_MEMORY) -> pa.Table:
    """Return the columns of a table that `schema` has, in its order and its types; what it lacks is null."""
    n, there = len(table), set(table.column_names)
    columns = [
        table[field.name].cast(field.type) if field.name in there else pa.nulls(n, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def row_groups(
    files: CheckedFiles, part: CheckedFile, file: pq.ParquetFile, chosen: pa.Schema
) -> Iterator[pa.Table]:
    """Yield the columns of `chosen` of a part that is open; what it lacks is null."""
    there = [name for name in chosen.names if name in file.schema_arrow.names]
    for group in range(file.num_row_groups):
        with explained(files.place.path(part.key)):
            table = file.read_row_group(group, there)
        yield conformed(table, chosen)
    files.demand_sound(part)  # it was read by ranges: looked at again where it changed meanwhile


def schema_of(held: Iterable[pa.Schema]) -> pa.Schema:
    """Return `IN_MEMORY`, and behind it the columns of some parts that this version does not know."""
    unknown = {field.name: field for schema in held for field in schema if field.name not in IN_MEMORY.names}
    return pa.schema([*IN_MEMORY, *(field.with_nullable(nullable=True) for field in unknown.values())])
