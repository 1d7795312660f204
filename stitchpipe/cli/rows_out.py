"""How rows come out of a command: a table for people, or CSV, JSON and Parquet for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path  # noqa: TC003 - read from the annotations by the command line
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Parameter

from stitchpipe.cli.files_out import OutputError, write_file
from stitchpipe.errors import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from rich.console import RenderableType

Format: TypeAlias = Literal["table", "csv", "json", "parquet"]
_BY_SUFFIX: Final[dict[str, Format]] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RowsOut:
    """The options of every command that rows come out of.

    Attributes
    ----------
    format
        None: what the ending of `output` says; otherwise a table on a terminal and CSV into a pipe.
    output
        A file, in place of standard output.
    """

    format: Annotated[
        Format | None,
        Parameter(
            name="--format",
            help="Default: what the ending of --output says, or a table on a terminal and csv into a pipe.",
        ),
    ] = None
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write to this file: .csv, .json or .parquet.")
    ] = None

    @property
    def chosen(self) -> Format:
        """The format that is meant.

        Raises
        ------
        OutputError
            The ending of `output` says none.
        """
        if self.format is not None:
            return self.format
        if self.output is None:
            return "table" if sys.stdout.isatty() else "csv"
        if self.output.suffix not in _BY_SUFFIX:
            raise OutputError(
                where=f"--output {self.output}",
                expected=f"an ending of {', '.join(_BY_SUFFIX)}, or --format",
                found=f"'{self.output.suffix}'" if self.output.suffix else "none",
                remedy="Name the file so, or say --format csv.",
            )
        return _BY_SUFFIX[self.output.suffix]

    def say(
        self,
        frame: pd.DataFrame,
        title: str | None = None,
        *,
        for_people: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    ) -> None:
        """Print rows, or write them to the file that was named.

        Parameters
        ----------
        title
            Of the table for people.
        for_people
            What a table shows in place of the rows.

        Raises
        ------
        OutputError
            The file cannot be written, or Parquet would go to a terminal.
        """
        chosen = self.chosen
        if chosen == "table" and self.output is None:
            from stitchpipe.cli.app import say
            from stitchpipe.cli.wide_tables import fitted

            say(*fitted(frame if for_people is None else for_people(frame), title=title))
            return
        if chosen == "parquet" and self.output is None and sys.stdout.isatty():
            raise OutputError(
                where="--format parquet",
                expected="a file or a pipe, because Parquet is no text",
                found="a terminal",
                remedy="Add --output FILE.parquet.",
            )
        self._hand_out(encoded(frame, chosen))

    def say_listing(
        self, listing: Callable[[], RenderableType], document: Any, records: Sequence[Mapping[str, Any]]
    ) -> None:
        """Print what has a listing of its own for people, whether on a terminal or not.

        Parameters
        ----------
        listing
            Makes it, where no other format is asked for.
        document
            What JSON has.
        records
            Its rows, for formats that hold rows alone; what is nested in one stands there as JSON.
        """
        if self.format in (None, "table") and self.output is None:
            from stitchpipe.cli.app import say

            say(listing())
        elif self.chosen == "json":
            self._hand_out(as_json(document).encode())
        else:
            import pandas as pd

            self.say(pd.DataFrame([{key: _flat(value) for key, value in row.items()} for row in records]))

    def _hand_out(self, data: bytes) -> None:
        """Write to the file that was named, or to standard output: on a terminal, what can be looked at."""
        if self.output is not None:
            write_file(self.output, data)
        elif sys.stdout.isatty():
            from stitchpipe.cli.console import visible

            sys.stdout.write(visible(data.decode()))
        elif self.chosen == "parquet":
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.write(data.decode())


def encoded(frame: pd.DataFrame, format: Format) -> bytes:  # noqa: A002 - what the option is called
    """Return rows as a file of a format holds them; a missing value is empty in CSV and null elsewhere.

    A table in a file is plain text, as wide as it is.

    Raises
    ------
    OutputError
        Two columns have one name, or hold what the format has no type for.
    """
    if format in ("json", "parquet") and not frame.columns.is_unique:
        raise OutputError(
            where=f"rows as {format}",
            expected="columns with names of their own",
            found=f"two called '{frame.columns[frame.columns.duplicated()][0]}'",
            remedy="Name them apart (in SQL: AS), or take csv.",
        )
    match format:
        case "csv":
            return frame.to_csv(index=False, lineterminator="\n").encode()
        case "json":
            return as_json(_records(frame)).encode()
        case "parquet":
            import io

            import pyarrow as pa
            import pyarrow.parquet as pq

            held = io.BytesIO()
            try:
                pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), held)
            except pa.ArrowException as error:
                raise OutputError(
                    where="rows as parquet",
                    expected="columns of types that Parquet has",
                    found=first_line(error),
                    remedy="Cast the column (in SQL: CAST(… AS VARCHAR)), or take csv.",
                ) from None
            return held.getvalue()
        case "table":
            return f"{frame.to_string(index=False, na_rep='')}\n".encode()


def as_json(document: Any) -> str:
    """Return a document as JSON for programs; it ends with a newline."""
    return json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): _plain(value) for name, value in row.items()} for row in plain.to_dict("records")]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a sum of whole numbers comes out of the database as a decimal."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.tolist() if hasattr(value, "tolist") else value  # of NumPy: a scalar's value, or a list
