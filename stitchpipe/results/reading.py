"""Reading parts as tables and data frames: their rows, and what they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.results.part_files import conformed, opened, plain_type, row_groups, schema_of
from stitchpipe.results.parts import FOLDER
from stitchpipe.results.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from stitchpipe.results.parts import Parts
    from storage import CheckedFile, CheckedFiles

COMPARED: Final = "compare-"
"""How the keys of a comparison's parts begin."""


def tables(
    files: CheckedFiles, parts: Iterable[CheckedFile], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield parts that are sound, or some columns of them, row group by row group."""
    for part in parts:
        files.demand_sound(part)
        file = opened(files, part)
        schema = schema_of([file.schema_arrow])
        chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        yield from row_groups(files, part, file, chosen)


def stitch_keys(files: CheckedFiles, parts: Iterable[CheckedFile]) -> set[str]:
    """Return the keys of the stitches in parts."""
    keys = set[str]()
    for table in tables(files, parts, ["key", "method"]):
        keys.update(table.filter(pc.is_valid(table["method"]))["key"].unique().to_pylist())
    return keys


def compared(parts: Iterable[CheckedFile]) -> list[CheckedFile]:
    """Return the parts that comparisons wrote."""
    return [part for part in parts if part.name.startswith(f"{FOLDER}{COMPARED}")]


def mergeable(files: CheckedFiles, parts: Iterable[CheckedFile]) -> list[CheckedFile]:
    """Return the parts whose rows say what they are of: comparisons, and stitches under their own key."""
    return [part for part in parts if compared([part]) or _is_one_stitch(files, part)]


def _is_one_stitch(files: CheckedFiles, part: CheckedFile) -> bool:
    keys = set[str | None]()
    for table in tables(files, [part], ["key", "method"]):
        if table["method"].null_count:
            return False
        keys.update(table["key"].unique().to_pylist())
    return keys == {part.name.removeprefix(FOLDER)}


class LostRowsError(Exception):
    """The rows of a key are in no part; its text is the key."""


def rows_in_order(files: CheckedFiles, parts: Parts, keys: Sequence[str]) -> pa.Table:
    """Return the rows of some keys, in the order of these, from single parts and from compacted ones.

    Raises
    ------
    LostRowsError
        There are none of one of them.
    """
    single = {part.name.removeprefix(FOLDER): part for part in parts.single}
    merged = pa.array([key for key in keys if key not in single], pa.string())
    looked_at = parts.compacted if len(merged) else ()
    of_merged = joined(table.filter(pc.is_in(table["key"], merged)) for table in tables(files, looked_at))
    if lost := set(merged.to_pylist()) - set(of_merged["key"].to_pylist()):
        raise LostRowsError(min(lost))
    places = [*pc.index_in(of_merged["key"], pa.array(keys, pa.string())).to_pylist()]
    rows = [of_merged]
    for place, key in enumerate(keys):
        if key in single:
            of_part = list(tables(files, [single[key]]))
            rows += of_part
            places += [place] * sum(map(len, of_part))
    order = np.argsort(np.array(places, np.int64), kind="stable")
    return joined(rows).take(pa.array(order))


def joined(some: Iterable[pa.Table]) -> pa.Table:
    """Return tables as one; it has all columns even where there are none."""
    return pa.concat_tables([conformed(SCHEMA.empty_table()), *some], promote_options="default")


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table as a data frame, with texts as such."""
    plain = pa.schema([field.with_type(plain_type(field.type)) for field in table.schema])
    frame: pd.DataFrame = table.cast(plain).to_pandas()
    return frame
