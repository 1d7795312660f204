"""A locked database for one question: the results in memory, no files, no network, no second statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

_ALONE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_LOCKS = (
    "SET python_enable_replacements = false",  # a table name never reaches for a variable of this process
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",  # last: the settings above cannot be taken back
)


class QueryError(ExplainedError, ValueError):
    """A query cannot be answered."""


def answer(sql: str, results: pa.Table) -> pd.DataFrame:
    """Answer one ``SELECT``, ``WITH`` or ``DESCRIBE`` over `results`, which it knows as the table ``results``.

    Raises
    ------
    QueryError
        It is empty, several statements, a statement that is not a question, or it fails.

    Notes
    -----
    The rows are copied into an in-memory database of their own, which is locked before the statement is
    even parsed and dropped afterwards: whatever the statement does, it cannot reach the Parquet parts.
    """
    import duckdb  # noqa: PLC0415 - a fifth of a second that only queries should cost

    with duckdb.connect(":memory:", config=_ALONE) as connection:
        connection.register("parts", results)
        connection.execute("CREATE TABLE results AS SELECT * FROM parts")
        connection.unregister("parts")
        for lock in _LOCKS:
            connection.execute(lock)
        try:
            _refuse_unless_one_question(connection, sql)
            frame: pd.DataFrame = connection.sql(sql).to_arrow_table().to_pandas()
        except duckdb.Error as error:
            raise QueryError(
                where="query",
                expected="a SELECT over the table `results`",
                found=_one_line(error),
                remedy="`DESCRIBE results` lists its columns; `SELECT DISTINCT index FROM results` its indices.",
            ) from None
    return frame


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
