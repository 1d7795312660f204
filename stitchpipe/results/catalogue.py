"""Results in long form: one row per number, kept as Parquet parts, queried as the table ``results``."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import pyarrow as pa

from stitchpipe.results.compaction import FILE_BYTES, Compacted, compact, tidy
from stitchpipe.results.held import Held, first_of_each
from stitchpipe.results.part_files import (
    SUFFIX,
    CatalogueError,
    conformed,
    encoded,
)
from stitchpipe.results.parts import COMPACTED, FOLDER, Parts
from stitchpipe.results.query import QueryError, answer_frame
from stitchpipe.results.reading import (
    LostRowsError,
    compared,
    frame_of,
    joined,
    mergeable,
    rows_in_order,
    stitch_keys,
    tables,
)
from stitchpipe.results.scanning import scanned
from stitchpipe.results.tables import SCHEMA, demand_sound, table_of_results
from storage import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from stitchpipe.results.beside import TableBeside
    from stitchpipe.results.held import Keys
    from stitchpipe.results.result import Result
    from storage import CheckedFile, CheckedFiles

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_ATTEMPTS = 8
MANY_PARTS: Final = 32
"""From how many parts on they are compacted at the end of a command."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Results beside a store: a Parquet part for each unit of work, and compacted files that hold the rows of many.

    A part appears whole or not at all, and is what `has` answers for: work whose key is there is done. Its digest
    stands in its name, and it is held against it before its first use in a process. Of two writers of one key the first
    wins; they wrote the same numbers.

    Attributes
    ----------
    files
        Of the run; parts are those in its folder ``results``.
    """

    files: CheckedFiles

    def has(self, key: str) -> bool:
        """Return whether the results of `key` are there. Raises CatalogueError if it is no key."""
        return self.files.find(self._name(key)) is not None or key in self._compacted_keys()

    def keys(self) -> list[str]:
        """Return the keys that are there, sorted: of parts, and of stitches in compacted files."""
        single = (part.name.removeprefix(FOLDER) for part in Parts.of(self.files).single)
        return sorted({*single, *self._compacted_keys()})

    def contents(self) -> list[str]:
        """Return the digests of the files that make up the results, sorted: equal ones, equal numbers."""
        return sorted(part.digest for part in Parts.of(self.files).all)

    def held(self) -> Held:
        """Return which numbers of comparisons are there, by the pair's key.

        Raises
        ------
        CatalogueError, storage.CorruptError
            A part is of another version, or damaged.

        Notes
        -----
        Reads two columns of every file of a comparison; eight bytes of memory for each number.
        """
        return self._steadily(
            lambda parts: Held.of(tables(self.files, _of_comparisons(parts), ["key", "index"]))
        )

    def compared(self, wanted: Mapping[str, Keys]) -> pd.DataFrame:
        """Return the results of pairs for the keys asked of each index, ``[n]`` each; each number once.

        In no promised order. Raises CatalogueError, storage.CorruptError if a part is of another version, or damaged.
        """
        asked = Held({index: np.unique(keys) for index, keys in wanted.items()})
        columns = SCHEMA.names

        def chosen(parts: Parts) -> list[pa.Table]:
            return [asked.those_of(table) for table in tables(self.files, _of_comparisons(parts), columns)]

        table = joined(self._steadily(chosen))
        return frame_of(table.filter(first_of_each(table)))

    def through_compared(
        self,
        wanted: Mapping[str, Keys],
        columns: Sequence[str],
        act: Callable[[Iterator[pa.Table]], _T],
    ) -> _T:
        """Hand some columns of the results of pairs to `act`, row group by row group; return what it makes of them.

        Texts are dictionaries. A number that lies in two files comes twice, the same. Where files are merged while this
        reads them, `act` begins anew with another iterator: what it makes must not outlive it otherwise.

        Raises
        ------
        CatalogueError, storage.CorruptError
            A part is of another version, or damaged.

        Notes
        -----
        Memory: one row group, and eight bytes for each key.
        """
        asked = Held({index: np.unique(keys) for index, keys in wanted.items()})
        read = [*dict.fromkeys((*columns, "key", "index"))]

        def chosen(parts: Parts) -> Iterator[pa.Table]:
            for table in tables(self.files, _of_comparisons(parts), read):
                yield asked.those_of(table).select(list(columns))

        return self._steadily(lambda parts: act(chosen(parts)))

    def write(self, key: str, results: Sequence[Result] | pa.Table) -> CheckedFile:
        """Write the results of one unit of work under its content key; return the part.

        Parameters
        ----------
        key
            Digest of everything the numbers depend on; letters, digits, ``.``, ``_`` and ``-``.
        results
            Rows, in the order in which they will be read: a table as `table_of` makes it, or a few single ones. May be
            empty.

        Raises
        ------
        CatalogueError
            `key` is no key.
        ResultError
            A row contradicts itself.
        storage.WriteError, storage.UnreachableError
            The place refused; finished parts are kept.
        """
        table = results if isinstance(results, pa.Table) else table_of_results(results)
        demand_sound(table)
        return self.files.write(self._name(key), SUFFIX, encoded(conformed(table)))

    def compact(self, *, least_parts: int = 1) -> Compacted | None:
        """Merge parts into few sorted files, each number once; return what was done, or None.

        Readers see all numbers at every moment. Cut short anywhere, nothing is lost or there twice, and the next
        compaction tidies up. Where two work at once one of them has its way.

        Parameters
        ----------
        least_parts
            1: merge everything. Otherwise do nothing below so many parts of comparisons; above, merge those, and with
            them the files that are not full.

        Raises
        ------
        CatalogueError, storage.CorruptError
            A part is of another version, or damaged: nothing is changed.
        storage.WriteError, storage.UnreachableError
            The place refused.
        """
        parts = Parts.of(self.files)
        tidy(self.files, parts, time.time())
        is_all = least_parts <= 1
        compacted = [part for part in parts.compacted if is_all or part.n_bytes < FILE_BYTES // 2]
        of_comparisons = compared(parts.single)
        if not is_all and len(of_comparisons) < least_parts:
            return None
        try:
            merged = [*compacted, *(mergeable(self.files, parts.single) if is_all else of_comparisons)]
            return compact(self.files, parts, merged) if len(merged) > len(compacted) else None
        except NotFoundError:  # merged by another process a moment ago
            return None

    def read(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return results as a data frame, in the order of `keys`; default: all, compacted files before parts.

        Missing numbers are NaN in the frame, as pandas has it; the Parquet part holds null.

        Raises
        ------
        CatalogueError
            What `keys` names is not there, or one of another version.
        storage.CorruptError
            A part is damaged; names the file.
        """
        asked = None if keys is None else list(dict.fromkeys(keys))
        return frame_of(self._steadily(lambda parts: self._table(parts, asked)))

    def query(
        self, sql: str, keys: Iterable[str] | None = None, *, beside: Sequence[TableBeside] = ()
    ) -> pd.DataFrame:
        """Answer one ``SELECT``, ``WITH`` or ``DESCRIBE`` over the tables ``results`` and ``stitches``, read-only.

        Parameters
        ----------
        sql
            One statement in DuckDB's dialect. It sees the results and nothing else: no files, no network.
        keys
            Which single parts make up the table; default: all results.
        beside
            Other tables that the statement may name. With them the results may be absent: they have no rows then.

        Raises
        ------
        QueryError
            It is not one such statement, it is wrong, or there are neither results nor other tables.
        CatalogueError, storage.CorruptError
            A part is missing, of another version, or damaged.
        KeyboardInterrupt
            Ctrl-C was pressed: the query ends at once.

        Notes
        -----
        The database scans the files itself and reads the columns and row groups that it needs. Before its first use in
        a process each file is held against its digest, which reads it once.
        """
        asked = None if keys is None else list(dict.fromkeys(keys))
        return answer_frame(self._steadily(lambda parts: self._answer(parts, asked, sql, (), beside)))

    def table(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """Answer one question over all results as an Arrow table; errors as `query`.

        Parameters
        ----------
        values
            What stands for the question marks of the statement, so that no name is ever read as SQL.
        """
        return self._steadily(lambda parts: self._answer(parts, None, sql, values))

    def _name(self, key: str) -> str:
        if not _KEY.fullmatch(key) or f"{FOLDER}{key}".startswith(COMPACTED):
            raise CatalogueError(
                where=self.files.place.path(FOLDER.rstrip("/")),
                expected="a key of letters, digits, '.', '_' and '-'",
                found=repr(key),
                remedy="Use the hexadecimal digest of what the numbers depend on.",
            )
        return f"{FOLDER}{key}"

    def _steadily(self, act: Callable[[Parts], _T]) -> _T:
        """Act on what is there; again where a compaction put other files in the place of some meanwhile."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            parts = Parts.of(self.files)
            try:
                return act(parts)
            except (NotFoundError, QueryError) as error:
                # What a file's absence looks like to the database is no certain sign of it; another listing is.
                if attempts_left and Parts.of(self.files) != parts:
                    continue
                if isinstance(error, QueryError):
                    raise
                raise self._missing(str(error)) from None
        raise AssertionError

    def _missing(self, what: str) -> CatalogueError:
        return CatalogueError(
            where=f"{self.files.place.path(FOLDER.rstrip('/'))}, {what}",
            expected="a part of the results",
            found="no such file",
            remedy="Run the sweep again: only its numbers are recomputed.",
        )

    def _answer(
        self,
        parts: Parts,
        keys: list[str] | None,
        sql: str,
        values: Sequence[Any],
        beside: Sequence[TableBeside] = (),
    ) -> pa.Table:
        chosen = parts.all if keys is None else self._chosen(parts, keys)
        # Where a run has other tables, a question may be about these: no results are no rows.
        if keys is None and not chosen and not beside:
            raise QueryError(
                where=self.files.place.path(FOLDER.rstrip("/")),
                expected="results (*.parquet)",
                found="none",
                remedy="Run a sweep into this folder first, for example `stitchpipe quickstart`.",
            )
        return scanned(self.files, chosen, sql, values, beside)

    def _chosen(self, parts: Parts, keys: Sequence[str]) -> list[CheckedFile]:
        """Return the single parts of some keys, in their order."""
        there = {part.name: part for part in parts.single}
        names = [self._name(key) for key in keys]
        for name in names:
            if name not in there:
                raise self._missing(name.removeprefix(FOLDER))
        return [there[name] for name in names]

    def _table(self, parts: Parts, keys: list[str] | None) -> pa.Table:
        """Return the rows of some keys in their order, or all."""
        if keys is None:
            return joined(tables(self.files, parts.all))
        for key in keys:
            self._name(key)  # refuses what is none
        try:
            return rows_in_order(self.files, parts, keys)
        except LostRowsError as error:
            raise self._missing(str(error)) from None

    def _compacted_keys(self) -> set[str]:
        """Return the keys of the stitches in compacted files."""
        return self._steadily(lambda parts: stitch_keys(self.files, parts.compacted))


def _of_comparisons(parts: Parts) -> list[CheckedFile]:
    """Return the files that hold comparisons."""
    return [*parts.compacted, *compared(parts.single)]
