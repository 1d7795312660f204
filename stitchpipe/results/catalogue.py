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

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from stitchpipe.results.schema import Kind, Result
    from storage import CheckedFile, CheckedFiles


class CatalogueError(ExplainedError, ValueError):
    """A part of the results cannot be written or read."""


_TYPES: dict[Kind, pa.DataType] = {"text": pa.string(), "whole number": pa.int64(), "number": pa.float64()}

SCHEMA = pa.schema(
    [pa.field(column.name, _TYPES[column.kind], nullable=column.is_nullable) for column in COLUMNS]
)
"""The columns of a part."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_FOLDER, _SUFFIX = "results/", ".parquet"
COMPARED = "compare-"
"""How the keys of a comparison's parts begin."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Results beside a store, one Parquet part per content key.

    A part appears whole or not at all, and is what `has` answers for: work whose key is there is done. Its digest
    stands in its name, and it is held against it whenever it is read. Of two writers of one key the first wins; they
    wrote the same numbers.

    Attributes
    ----------
    files
        Of the run; parts are those in its folder ``results``.
    """

    files: CheckedFiles

    def has(self, key: str) -> bool:
        """Return whether the results of `key` are there. Raises CatalogueError if it is no key."""
        return self.files.find(self._name(key)) is not None

    def keys(self) -> list[str]:
        """Return the keys that are there, sorted. One listing."""
        return [part.name.removeprefix(_FOLDER) for part in self._parts(None)]

    def held(self) -> dict[str, set[str]]:
        """Return which indices are there of each pair, by the pair's `Result.key`.

        Raises
        ------
        CatalogueError
            A part is of another version.

        Notes
        -----
        Reads every part of a comparison, because each is held against its digest.
        """
        held: dict[str, set[str]] = {}
        for part in self._compared():
            columns = self._table_of(part, ["key", "index"]).to_pydict()
            for key, index in zip(columns["key"], columns["index"], strict=True):
                held.setdefault(key, set()).add(index)
        return held

    def compared(self, wanted: Mapping[str, Collection[str]]) -> pd.DataFrame:
        """Return the results of pairs, by their `Result.key`, for the indices asked of each; each number once.

        In the order of parts, which is not that of `wanted`. Raises CatalogueError if a part is damaged.
        """
        tables = []
        keys = pa.array(list(wanted), pa.string())
        for part in self._compared():
            table = self._table_of(part)
            tables.append(table.filter(pc.is_in(table["key"], keys)))
        frame: pd.DataFrame = pa.concat_tables(
            [SCHEMA.empty_table(), *tables], promote_options="default"
        ).to_pandas()
        asked = [index in wanted[key] for key, index in zip(frame["key"], frame["index"], strict=True)]
        return frame[asked].drop_duplicates(["key", "index"], ignore_index=True)

    def write(self, key: str, results: Sequence[Result]) -> CheckedFile:
        """Write the results of one unit of work under its content key; return the part.

        Parameters
        ----------
        key
            Digest of everything the numbers depend on; letters, digits, ``.``, ``_`` and ``-``.
        results
            Rows, in the order in which they will be read. May be empty.

        Raises
        ------
        CatalogueError
            `key` is no key.
        storage.WriteError, storage.UnreachableError
            The place refused; finished parts are kept.
        """
        table = pa.Table.from_pylist([asdict(result) for result in results], schema=SCHEMA)
        return self.files.write(self._name(key), _SUFFIX, _encoded(table))

    def read(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return results as a data frame, parts in the order of `keys` (default: all, sorted by key).

        Missing numbers are NaN in the frame, as pandas has it; the Parquet part holds null.

        Raises
        ------
        CatalogueError
            A part of `keys` is not there, or one of another version.
        storage.CorruptError
            A part is damaged; names the file.
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
        CatalogueError, storage.CorruptError
            A part is missing, of another version, or damaged.

        Notes
        -----
        All parts are read into memory, then DuckDB answers: O(rows) per query.
        """
        if keys is None and not self.keys():
            raise QueryError(
                where=self.files.place.path(_FOLDER.rstrip("/")),
                expected="results (*.parquet)",
                found="none",
                remedy="Run a sweep into this folder first, for example `stitchpipe quickstart`.",
            )
        return answer(sql, self._table(keys))

    def _name(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise CatalogueError(
                where=self.files.place.path(_FOLDER.rstrip("/")),
                expected="a key of letters, digits, '.', '_' and '-'",
                found=repr(key),
                remedy="Use the hexadecimal digest of what the numbers depend on.",
            )
        return f"{_FOLDER}{key}"

    def _compared(self) -> list[CheckedFile]:
        """Return the parts that comparisons wrote, sorted."""
        return [part for part in self._parts(None) if part.name.startswith(f"{_FOLDER}{COMPARED}")]

    def _parts(self, keys: Iterable[str] | None) -> list[CheckedFile]:
        """Return the parts of some keys, in their order, or all there are, sorted."""
        there = {part.name: part for part in self.files.listing(_FOLDER.rstrip("/"))}
        if keys is None:
            return list(there.values())
        names = [self._name(key) for key in dict.fromkeys(keys)]
        for name in names:
            if name not in there:
                raise CatalogueError(
                    where=self.files.place.path(name),
                    expected="a part of the results",
                    found="no such file",
                    remedy="Run the sweep again: only its numbers are recomputed.",
                )
        return [there[name] for name in names]

    def _table(self, keys: Iterable[str] | None) -> pa.Table:
        parts = [self._table_of(part) for part in self._parts(keys)]
        return pa.concat_tables([SCHEMA.empty_table(), *parts], promote_options="default")

    def _table_of(self, part: CheckedFile, columns: list[str] | None = None) -> pa.Table:
        """Return one part or some columns of it, its bytes held against its digest."""
        data, path = self.files.read(part), self.files.place.path(part.key)
        try:
            held = pq.ParquetFile(pa.BufferReader(data))
            _check_columns(path, held.schema_arrow)
            return held.read(columns)
        except (OSError, pa.ArrowException) as error:
            raise CatalogueError(
                where=path,
                expected="a part of the results",
                found=first_line(error),
                remedy="Remove the file and run the sweep again: only its numbers are recomputed.",
            ) from None


def _encoded(table: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _check_columns(path: str, held: pa.Schema) -> None:
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
            where=path,
            expected="a part of the results with the columns of this version",
            found=", ".join(wrong[:3]),
            remedy="Remove the file and run the sweep again: only its numbers are recomputed.",
        )
