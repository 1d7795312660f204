"""Many parts merged into few sorted files, whose statistics let a question skip what it does not ask about.

The rows are read once, dealt by their place in the order into buckets, each kept on the disk until its turn, sorted in
memory and written. What is held at once is one row group of a part, the rows that wait to be dealt, one bucket, and one
file in the making. See `stitchpipe.results.parts` for how killed ones and those beside it are told apart.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from stitchpipe.results.part_files import (
    ROW_GROUP_ROWS,
    SUFFIX,
    opened,
    row_groups,
    schema_of,
    writer,
)
from stitchpipe.results.parts import COMPACTED, RECORD, Compaction, Parts
from stitchpipe.results.sorting import GROUP, Buckets, settled
from storage import CheckedFile, Inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage import CheckedFiles

FILE_BYTES: Final = 1 << 26
"""From which size on a compacted file is closed; it is held in memory until then."""
WAITING_BYTES: Final = 1 << 26
"""How much may wait in memory to be dealt to the buckets on the disk."""


ABANDONED_S: Final = 86400.0
"""How old a file that no record names must be before nobody can be at work on it."""


class _OvertakenError(Exception):
    """Another compaction was faster."""


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: files and rows before and after it."""

    files_before: int
    files: int
    rows_before: int
    rows: int


def compact(files: CheckedFiles, parts: Parts, merged: Sequence[CheckedFile]) -> Compacted | None:
    """Merge some of the files of the results into sorted ones; return what was done, None where another was faster.

    Parameters
    ----------
    parts
        What is there.
    merged
        The files of it that are merged; the others stay.

    Raises
    ------
    storage.CorruptError, CatalogueError
        A part is damaged or of another version: nothing is changed.
    storage.NotFoundError
        Another compaction removed one meanwhile: nothing is changed.
    storage.WriteError, storage.UnreachableError
        The place refused.

    Notes
    -----
    Reads and writes every row once, and once more on this machine's disk where there are more than one bucket.
    """
    token, made, rows_before, rows = uuid.uuid4().hex[:12], list[CheckedFile](), 0, 0
    with tempfile.TemporaryDirectory(prefix="stitchpipe-compaction-") as folder:
        for part in merged:
            files.demand_sound(part)
        schema = schema_of(opened(files, part).schema_arrow for part in merged)
        buckets = Buckets.of(_rows(files, merged, schema, [*GROUP, "source_depth"]))
        dealt = _Dealt(Path(folder))
        for table in _rows(files, merged, schema, schema.names):
            rows_before += len(table)
            dealt.add(table, buckets)
        out = _Output(files, token, schema)
        for number in range(buckets.n):
            table = settled(dealt.bucket(number))
            rows += len(table)
            out.write(table)
        made = out.finish()
    gone = {part.name for part in merged}
    stay = [part for part in parts.compacted if part.name not in gone]
    # A compaction before this one may have been killed before it had removed everything.
    still_there = {part.name for part in parts.leftovers} & parts.compaction.superseded
    after = Compaction((*stay, *made), frozenset(gone | still_there))
    try:
        files.update_record(RECORD, lambda before: _next(before, parts.compaction, after))
    except _OvertakenError:
        _remove(files, made)
        return None
    # From here on the numbers are in the new files alone, for whoever looks.
    _remove(files, merged, made)
    return Compacted(len(merged), len(made), rows_before, rows)


def _next(before: Mapping[str, Any] | None, seen: Compaction, after: Compaction) -> dict[str, Any]:
    """Return the next record, if the one that is there is the one that was merged by."""
    if Compaction.from_record(before) != seen:
        raise _OvertakenError
    return after.to_record()


def _remove(files: CheckedFiles, parts: Sequence[CheckedFile], made: Sequence[CheckedFile] = ()) -> None:
    """Remove parts; `made` are the files that hold their numbers now."""
    for part in parts:
        files.remove(part.name)
    if parts:
        Inventory(files.place).exchange([part.name for part in parts], [part.name for part in made])


def tidy(files: CheckedFiles, parts: Parts, now_s: float) -> None:
    """Remove what killed compactions left: superseded parts, and files that no record names and nobody works on."""
    ages = {entry.key: now_s - entry.modified_s for entry in files.place.files("results")}
    abandoned = [
        part
        for part in parts.leftovers
        if part.name in parts.compaction.superseded
        or (part.name.startswith(COMPACTED) and ages.get(part.key, 0.0) > ABANDONED_S)
    ]
    _remove(files, abandoned)


def _rows(
    files: CheckedFiles, parts: Sequence[CheckedFile], schema: pa.Schema, names: list[str]
) -> Iterator[pa.Table]:
    """Yield some columns of parts, row group by row group; what an older part lacks is null."""
    chosen = pa.schema([schema.field(name) for name in names])
    for part in parts:
        yield from row_groups(files, part, opened(files, part), chosen)


@dataclass(eq=False)
class _Dealt:
    """Rows by bucket: in memory while they are few, then in files of one bucket each."""

    folder: Path
    _waiting: dict[int, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    _waiting_bytes: int = 0
    _on_disk: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, table: pa.Table, buckets: Buckets) -> None:
        """Deal rows to their buckets."""
        numbers = buckets.of_rows(table)
        for number in np.unique(numbers).tolist():
            chosen = table if buckets.n == 1 else table.filter(pa.array(numbers == number))
            self._waiting[number].append(chosen)
            self._waiting_bytes += chosen.nbytes
        if buckets.n > 1 and self._waiting_bytes > WAITING_BYTES:
            self._spill()

    def _spill(self) -> None:
        for number, tables in self._waiting.items():
            path = self.folder / f"{number}-{self._on_disk[number]}.arrow"
            table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            with (
                pa.OSFile(str(path), "wb") as sink,
                pa.ipc.new_file(sink, table.schema, options=options) as file,
            ):
                file.write_table(table.combine_chunks())
            self._on_disk[number] += 1
        self._waiting.clear()
        self._waiting_bytes = 0

    def bucket(self, number: int) -> pa.Table:
        """Return the rows of a bucket, and forget them."""
        tables = []
        for count in range(self._on_disk[number]):
            with pa.OSFile(str(self.folder / f"{number}-{count}.arrow")) as source:
                tables.append(pa.ipc.open_file(source).read_all())
            (self.folder / f"{number}-{count}.arrow").unlink()
        tables += self._waiting.pop(number, [])
        return pa.concat_tables(tables, promote_options="default").unify_dictionaries()


@dataclass(eq=False)
class _Output:
    """Sorted rows into files of about `FILE_BYTES`."""

    files: CheckedFiles
    token: str
    schema: pa.Schema
    _made: list[CheckedFile] = field(default_factory=list)
    _sink: io.BytesIO = field(default_factory=io.BytesIO)
    _file: Any = None

    def write(self, table: pa.Table) -> None:
        """Write rows behind those of before."""
        if self._file is None:
            self._sink = io.BytesIO()
            self._file = writer(self._sink, self.schema, is_sorted=True)
        self._file.write_table(table, row_group_size=ROW_GROUP_ROWS)
        if self._sink.tell() >= FILE_BYTES:
            self._close()

    def _close(self) -> None:
        self._file.close()
        name = f"{COMPACTED}{self.token}-{len(self._made):05d}"
        self._made.append(self.files.write(name, SUFFIX, self._sink.getvalue()))
        self._file = None

    def finish(self) -> list[CheckedFile]:
        """Return the files, all of them durable."""
        if self._file is not None:
            self._close()
        return self._made
