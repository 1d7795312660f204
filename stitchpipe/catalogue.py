"""Results in long form: one record per number, kept as Parquet parts, queried as the table ``results``."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

OK = "ok"


class QueryError(ExplainedError, ValueError):
    """A query cannot be answered."""


class ResultError(ExplainedError, ValueError):
    """A record contradicts itself, or a part of the catalogue cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One number, always directed, with everything that is needed to know what it is.

    ``status`` is ``ok``, or names why there is no number; then ``value`` is None and ``reason`` says more. A
    value is finite: there is no NaN in the catalogue. Raises ResultError otherwise.
    """

    index: str
    value: float | None
    status: str = OK
    reason: str | None = None
    view: str
    grid: str
    source_model: str
    source_layer: str
    target_model: str
    target_layer: str
    fit_split: str | None = None
    split: str
    n_samples: int
    n_rows: int
    p: int
    q: int
    rank: int | None = None
    condition: float | None = None
    method: str | None = None
    init: str | None = None
    objective: str | None = None
    seed: int | None = None
    steps: int | None = None
    final_loss: float | None = None
    source_digest: str
    target_digest: str

    def __post_init__(self) -> None:
        has_value = self.value is not None and math.isfinite(self.value)
        if has_value != (self.status == OK) or (self.value is not None and not has_value):
            raise ResultError(
                where=f"{self.index} of {self.source_model}/{self.source_layer} into "
                f"{self.target_model}/{self.target_layer}",
                expected="a finite value with status 'ok', or no value and a status that says why",
                found=f"value {self.value} with status '{self.status}'",
                remedy="This is a defect of the index, not of the data: please report it.",
            )


SCHEMA = pa.schema(
    [
        pa.field("index", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("view", pa.string(), nullable=False),
        pa.field("grid", pa.string(), nullable=False),
        pa.field("source_model", pa.string(), nullable=False),
        pa.field("source_layer", pa.string(), nullable=False),
        pa.field("target_model", pa.string(), nullable=False),
        pa.field("target_layer", pa.string(), nullable=False),
        pa.field("fit_split", pa.string()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("n_samples", pa.int64(), nullable=False),
        pa.field("n_rows", pa.int64(), nullable=False),
        pa.field("p", pa.int64(), nullable=False),
        pa.field("q", pa.int64(), nullable=False),
        pa.field("rank", pa.int64()),
        pa.field("condition", pa.float64()),
        pa.field("method", pa.string()),
        pa.field("init", pa.string()),
        pa.field("objective", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("steps", pa.int64()),
        pa.field("final_loss", pa.float64()),
        pa.field("source_digest", pa.string(), nullable=False),
        pa.field("target_digest", pa.string(), nullable=False),
    ]
)


class Catalogue:
    """A folder of Parquet parts, one per unit of work, named by content keys.

    A part appears whole or not at all, and holds what its key stands for: writers of the same part agree, and
    a part that exists is not computed again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def has(self, key: str) -> bool:
        """Return whether the part `key` is there."""
        return self._path(key).exists()

    def write(self, key: str, results: Sequence[Result]) -> Path:
        """Write a part, durably; return its path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([asdict(result) for result in results], schema=SCHEMA)
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix=f".{key}.", delete=False) as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._path(key))
        return self._path(key)

    def keys(self) -> list[str]:
        """Return the keys of all parts, sorted."""
        return sorted(path.stem for path in self.directory.glob("[!.]*.parquet"))

    def read(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return results as a data frame, one row per number: those of `keys` that are there, or all.

        Raises
        ------
        ResultError
            A part is damaged.
        """
        frame: pd.DataFrame = self._table(keys).to_pandas()
        return frame

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over the table ``results``, read-only.

        The query sees a copy of the results in memory and nothing else: files, network, extensions and
        settings are out of its reach.

        Raises
        ------
        QueryError
            There are no results, the text is not one SELECT, or DuckDB refuses it.
        """
        table = self._table(None)
        if table.num_rows == 0:
            raise QueryError(
                where=str(self.directory),
                expected="results of a run",
                found="none",
                remedy="Give the --out folder of a run, or make one with `stitchpipe quickstart`.",
            )
        return _answer(table, sql)

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.parquet"

    def _table(self, keys: Iterable[str] | None) -> pa.Table:
        chosen = self.keys() if keys is None else [key for key in keys if self.has(key)]
        return pa.concat_tables(
            [SCHEMA.empty_table(), *(self._part(key) for key in chosen)], promote_options="default"
        )

    def _part(self, key: str) -> pa.Table:
        try:
            return pq.read_table(self._path(key))
        except (OSError, pa.ArrowInvalid) as error:
            raise ResultError(
                where=str(self._path(key)),
                expected="a part of the catalogue (Parquet)",
                found=str(error).splitlines()[0],
                remedy="Delete the file and run the sweep again: only this part is computed anew.",
            ) from None


def _answer(table: pa.Table, sql: str) -> pd.DataFrame:
    import duckdb  # noqa: PLC0415 - a fifth of a second that only queries should cost

    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        connection.register("incoming", table)
        connection.execute("CREATE TABLE results AS SELECT * FROM incoming")
        connection.unregister("incoming")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(sql)
            _demand_one_select(statements, duckdb.StatementType.SELECT, sql)
            answer: pd.DataFrame = connection.execute(statements[0]).df()
        except duckdb.Error as error:
            raise QueryError(
                where="query",
                expected="SQL over the table `results`",
                found=" ".join(str(error).split()),
                remedy=f"Columns are {', '.join(SCHEMA.names)}.",
            ) from None
    return answer


def _demand_one_select(
    statements: Sequence[duckdb.Statement], select: duckdb.StatementType, sql: str
) -> None:
    if len(statements) != 1 or statements[0].type != select:
        raise QueryError(
            where="query",
            expected="one SELECT (or WITH … SELECT, DESCRIBE)",
            found=" ".join(sql.split())[:120] or "nothing",
            remedy="The catalogue is read-only: ask one question at a time.",
        )
