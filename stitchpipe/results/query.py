"""A locked database for one question: it scans the files of the results and nothing else: no network, no second one."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.results.beside import put_beside
from stitchpipe.results.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    import pandas as pd

    from stitchpipe.results.beside import TableBeside
    from stitchpipe.results.bucket_parts import BucketParts

MEMORY: Final = "640MiB"
"""What the database may hold; a question that needs more is refused."""
THREADS: Final = 4
"""At most so many, and not more than there are cores."""

_ALONE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": MEMORY,
    "threads": min(THREADS, os.cpu_count() or 1),
}
_LOCKS = (
    "SET python_enable_replacements = false",  # a table name never reaches for a variable of this process
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",  # last: the settings above cannot be taken back
)
_SQL_TYPES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE"}


class QueryError(ExplainedError, ValueError):
    """A query cannot be answered."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a query."""


def answer(
    sql: str,
    parts: Mapping[str, Sequence[str]],
    *,
    reader: BucketParts | None = None,
    values: Sequence[Any] = (),
    beside: Sequence[TableBeside] = (),
) -> pa.Table:
    """Answer one ``SELECT``, ``WITH`` or ``DESCRIBE`` over the files of the results, as the table ``results``.

    Parameters
    ----------
    parts
        The columns of each file, by path.
    reader
        What opens the files where they lie in a bucket; None where they are files of this machine.
    values
        What stands for the question marks of the statement.
    beside
        Other tables that it may name; `stitches` is there in any case.

    Raises
    ------
    QueryError
        It is empty, several statements, a statement that is not a question, it fails, or it takes too much memory; or
        a file was removed meanwhile.
    KeyboardInterrupt
        Ctrl-C was pressed: the query ends at once.

    Notes
    -----
    The database is in memory and of its own. It is locked before the statement is even parsed, and dropped
    afterwards: it may open exactly the files that it was given, and cannot write. It reads the columns and the row
    groups that the statement needs.
    """
    import duckdb  # noqa: PLC0415 - a fifth of a second that only queries should cost

    with duckdb.connect(":memory:", config=_ALONE) as connection:
        try:
            if reader is not None:
                connection.register_filesystem(reader)
            connection.execute(f"SET allowed_paths = [{', '.join(map(_quoted, parts))}]")
            connection.execute(f"CREATE VIEW results AS {_scan(parts)}")
            put_beside(connection, sql, beside)
            for lock in _LOCKS:
                connection.execute(lock)
            _refuse_unless_one_question(connection, sql)
            return _interruptible(connection, sql, values)
        except duckdb.OutOfMemoryException as error:
            raise QueryError(
                where="query",
                expected=f"a question that is answered in {MEMORY} of memory",
                found=_one_line(error),
                remedy="Ask for fewer columns or groups, or filter by `index`, `view` and models.",
            ) from None
        except duckdb.Error as error:
            raise QueryError(
                where="query",
                expected=f"a SELECT over {', '.join(['results', 'stitches', *(table.name for table in beside)])}",
                found=_one_line(error),
                remedy="`DESCRIBE results` lists its columns; `SELECT DISTINCT index FROM results` its indices.",
            ) from None


def answer_frame(table: pa.Table) -> pd.DataFrame:
    """Return an answer as a data frame; `QueryError` where a type has no equal there."""
    try:
        frame: pd.DataFrame = table.to_pandas()
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise _no_frame(first_line(error)) from None
    return frame


def _no_frame(found: str) -> QueryError:
    return QueryError(
        where="query",
        expected="columns of types that a data frame has",
        found=found,
        remedy="Cast the column to one, for example CAST(… AS VARCHAR).",
    )


def _scan(parts: Mapping[str, Sequence[str]]) -> str:
    """Return the statement that scans files: all columns of this version, and those of others behind them."""
    known = {field.name: _SQL_TYPES[field.type] for field in SCHEMA}
    if not parts:
        columns = ", ".join(f'NULL::{held} AS "{name}"' for name, held in known.items())
        return f"SELECT {columns} WHERE false"
    there = dict.fromkeys(name for names in parts.values() for name in names)
    columns = ", ".join(
        [
            *(f'"{name}"' if name in there else f'NULL::{held} AS "{name}"' for name, held in known.items()),
            *('"' + name.replace('"', '""') + '"' for name in there if name not in known),
        ]
    )
    # Only where columns differ must every footer be read before anything is answered.
    differ = any(set(names) != there.keys() for names in parts.values())
    options = f"hive_partitioning = false, union_by_name = {str(differ).lower()}"
    files = ", ".join(map(_quoted, parts))
    return f"SELECT {columns} FROM read_parquet([{files}], {options})"  # noqa: S608  (quoted)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _interruptible(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any]) -> pa.Table:
    """Execute in a thread, so that this one hears Ctrl-C: the database's own wait does not end for it."""
    answers: list[pa.Table] = []
    errors: list[BaseException] = []

    def act() -> None:
        try:
            answers.append(connection.sql(sql, params=list(values)).to_arrow_table())
        except BaseException as error:  # noqa: BLE001  (whatever it is, it is raised in the thread that asked)
            errors.append(error)
        finally:
            done.set()

    # An event, because a thread whose join was interrupted counts as ended in this version of Python.
    done = threading.Event()
    threading.Thread(target=act, name="query").start()
    try:
        done.wait()
    except KeyboardInterrupt:
        connection.interrupt()
        while not done.wait(0.05):  # it may not have begun when it was interrupted
            connection.interrupt()
        raise Interrupted("Interrupted: the query was ended.") from None
    if errors:
        raise errors[0]
    return answers[0]


def _refuse_unless_one_question(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if kinds == ["SELECT"]:
        return
    found = f"{len(kinds)} statements ({', '.join(kinds)})" if len(kinds) > 1 else "".join(kinds) or "nothing"
    raise QueryError(
        where="query",
        expected="one SELECT, WITH or DESCRIBE statement",
        found=found,
        remedy="Results are read-only: ask one question at a time.",
    )


def _one_line(error: Exception) -> str:
    """Return the message without the excerpt of the statement that follows it, on one line."""
    message = str(error).split("\nLINE ", maxsplit=1)[0]
    return " ".join(message.split()).rstrip(".")
