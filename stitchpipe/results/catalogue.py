"""Results in long form: one record per number, kept as Parquet parts, queried as the table ``results``."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.results.query import QueryError, answer
from stitchpipe.results.schema import COLUMNS, LATER
from stitchpipe.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from stitchpipe.results.schema import Kind, Result


class CatalogueError(ExplainedError, ValueError):
    """A part of the results cannot be written or read."""


_TYPES: dict[Kind, pa.DataType] = {"text": pa.string(), "whole number": pa.int64(), "number": pa.float64()}

SCHEMA = pa.schema(
    [pa.field(column.name, _TYPES[column.kind], nullable=column.is_nullable) for column in COLUMNS]
)
"""The columns of a part."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_SUFFIX = ".parquet"
COMPARED = "compare-"
"""How the keys of a comparison's parts begin."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Results in a folder, one Parquet part per content key.

    A part appears whole or not at all, and is what `has` answers for: work whose key is there is done. Two
    writers of one key write the same numbers, so the last one wins harmlessly.

    Attributes
    ----------
    directory
        The folder; made by the first `write`.
    """

    directory: Path

    def has(self, key: str) -> bool:
        """Return whether the results of `key` are there. Raises CatalogueError if it is no key."""
        return self._part(key).is_file()

    def keys(self) -> list[str]:
        """Return the keys that are there, sorted."""
        return [path.name.removesuffix(_SUFFIX) for path in self._parts(None)]

    def held(self) -> dict[str, set[str]]:
        """Return which indices are there of each pair, by the pair's `Result.key`.

        Raises
        ------
        CatalogueError
            A part is damaged.

        Notes
        -----
        Reads two columns of every part of a comparison.
        """
        found: dict[str, set[str]] = {}
        for path in self._compared():
            columns = _read(path, ["key", "index"]).to_pydict()
            for key, index in zip(columns["key"], columns["index"], strict=True):
                found.setdefault(key, set()).add(index)
        return found

    def compared(self, wanted: Mapping[str, Collection[str]]) -> pd.DataFrame:
        """Return the results of pairs, by their `Result.key`, for the indices asked of each; each number once.

        In the order of parts, which is not that of `wanted`. Raises CatalogueError if a part is damaged.
        """
        tables = []
        keys = pa.array(list(wanted), pa.string())
        for path in self._compared():
            table = _read(path)
            tables.append(table.filter(pc.is_in(table["key"], keys)))
        frame: pd.DataFrame = pa.concat_tables(
            [SCHEMA.empty_table(), *tables], promote_options="default"
        ).to_pandas()
        asked = [index in wanted[key] for key, index in zip(frame["key"], frame["index"], strict=True)]
        return frame[asked].drop_duplicates(["key", "index"], ignore_index=True)

    def write(self, key: str, results: Sequence[Result]) -> Path:
        """Write the results of one unit of work under its content key; return the part's path.

        Parameters
        ----------
        key
            Digest of everything the numbers depend on; letters, digits, ``.``, ``_`` and ``-``.
        results
            Rows, in the order in which they will be read. May be empty.

        Raises
        ------
        CatalogueError
            `key` is no key, or the folder cannot be written.

        Notes
        -----
        Temporary file, fsync, rename, fsync of the folder: a reader never sees half a part, and what a
        returned call has written survives a loss of power.
        """
        path = self._part(key)
        table = pa.Table.from_pylist([asdict(result) for result in results], schema=SCHEMA)
        try:
            write_whole(path, _encoded(table))
        except OSError as error:
            raise CatalogueError(
                where=str(path),
                expected="a folder that can be written",
                found=error.strerror or type(error).__name__,
                remedy="Make room or grant access, then run again: finished parts are kept.",
            ) from None
        return path

    def read(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return results as a data frame, parts in the order of `keys` (default: all, sorted by key).

        Missing numbers are NaN in the frame, as pandas has it; the Parquet part holds null.

        Raises
        ------
        CatalogueError
            A part of `keys` is not there, or a part is damaged; names the file.
        """
        frame: pd.DataFrame = self._table(keys).to_pandas()
        return frame

    def query(self, sql: str, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Answer one ``SELECT``, ``WITH`` or ``DESCRIBE`` over the table ``results``, read-only.

        Parameters
        ----------
        sql
            One statement in DuckDB's dialect. It sees the results and nothing else: no files, no network.
        keys
            Which parts make up the table; default: all.

        Raises
        ------
        QueryError
            It is not one such statement, it is wrong, or there are no results yet.
        CatalogueError
            A part is missing or damaged.

        Notes
        -----
        All parts are read into memory, then DuckDB answers: O(rows) per query.
        """
        if keys is None and not self.keys():
            raise QueryError(
                where=str(self.directory),
                expected="results (*.parquet)",
                found="none" if self.directory.is_dir() else "no such folder",
                remedy="Run a sweep into this folder first, for example `stitchpipe quickstart`.",
            )
        return answer(sql, self._table(keys))

    def _part(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise CatalogueError(
                where=str(self.directory),
                expected="a key of letters, digits, '.', '_' and '-'",
                found=repr(key),
                remedy="Use the hexadecimal digest of what the numbers depend on.",
            )
        return self.directory / f"{key}{_SUFFIX}"

    def _compared(self) -> list[Path]:
        """Return the parts that comparisons wrote, sorted."""
        return [path for path in self._parts(None) if path.name.startswith(COMPARED)]

    def _parts(self, keys: Iterable[str] | None) -> list[Path]:
        if keys is not None:
            return [self._part(key) for key in dict.fromkeys(keys)]
        return sorted(path for path in self.directory.glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def _table(self, keys: Iterable[str] | None) -> pa.Table:
        parts = [_read(path) for path in self._parts(keys)]
        return pa.concat_tables([SCHEMA.empty_table(), *parts], promote_options="default")


def _encoded(table: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read one part or some columns of it, page checksums verified."""
    try:
        part = pq.ParquetFile(path, page_checksum_verification=True)
        _check_columns(path, part.schema_arrow)
        return part.read(columns)
    except (OSError, pa.ArrowException) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else first_line(error)
        raise CatalogueError(
            where=str(path),
            expected="a whole part of the results",
            found=found,
            remedy="Delete the file if it is there and run the sweep again: only its numbers are recomputed.",
        ) from None


def _check_columns(path: Path, held: pa.Schema) -> None:
    """Refuse a part that lacks a column, but for those that were added later, or has another type in one."""
    wrong = [
        f"'{field.name}' {f'of type {held.field(field.name).type}' if field.name in held.names else 'missing'}"
        for field in SCHEMA
        if (
            held.field(field.name).type != field.type if field.name in held.names else field.name not in LATER
        )
    ]
    if wrong:
        raise CatalogueError(
            where=str(path),
            expected="a part of the results with the columns of this version",
            found=", ".join(wrong[:3]),
            remedy="Delete the file and run the sweep again: only its numbers are recomputed.",
        )
