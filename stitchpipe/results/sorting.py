"""The order of rows in compacted files, dealt into buckets of neighbours that are sorted one at a time in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKET_ROWS: Final = 1 << 19
"""Rows that are sorted at once: 1 KiB of memory each, at most."""

GROUP: Final = ("view", "index", "source_model", "source_layer")
"""What all rows of a group have in common; groups are never divided."""
WITHIN: Final = (
    "target_model",
    "target_depth",
    "target_layer",
    "method",
    "init",
    "objective",
    "seed",
    "augmented",
)
"""The order inside a group. Columns of stitches are null in comparisons."""
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Buckets:
    """Which rows are sorted together.

    Attributes
    ----------
    numbers
        The bucket of each group.
    n
        How many buckets there are.
    """

    numbers: dict[tuple[Any, ...], int]
    n: int

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> Buckets:
        """Deal the groups, in their order, into buckets of about `BUCKET_ROWS`; given columns `GROUP` and the depth."""
        counts: dict[tuple[Any, ...], int] = {}
        depths: dict[tuple[Any, ...], int] = {}
        for table in tables:
            grouped = table.group_by(list(GROUP)).aggregate([([], "count_all"), ("source_depth", "max")])
            for row in grouped.to_pylist():
                group = tuple(row[name] for name in GROUP)
                counts[group] = counts.get(group, 0) + row["count_all"]
                depth = row["source_depth_max"]
                depths[group] = max(depths.get(group, _UNKNOWN), _UNKNOWN if depth is None else depth)
        numbers, bucket, filled = dict[tuple[Any, ...], int](), 0, 0
        for group in sorted(counts, key=lambda group: (*group[:3], depths[group], group[3])):
            if filled and filled + counts[group] > BUCKET_ROWS:
                bucket, filled = bucket + 1, 0
            numbers[group] = bucket
            filled += counts[group]
        return cls(numbers, bucket + 1)

    def of_rows(self, table: pa.Table) -> npt.NDArray[np.int64]:
        """Return the bucket of each row."""
        code = np.zeros(len(table), np.int64)
        texts: list[list[Any]] = []
        for name in GROUP:
            column = _coded(table[name])
            texts.append(column.dictionary.to_pylist())
            code = code * len(column.dictionary) + column.indices.to_numpy()
        groups, where = np.unique(code, return_inverse=True)
        places = np.unravel_index(groups, [len(of_column) for of_column in texts])
        columns = ([of_column[at] for at in place] for of_column, place in zip(texts, places, strict=True))
        named = zip(*columns, strict=True)
        return np.array([self.numbers[group] for group in named], np.int64)[where]


def settled(table: pa.Table) -> pa.Table:
    """Return rows in the order of compacted files, each number once: the first of those that are equal is kept."""
    columns = ("source_depth", *WITHIN)
    order = (*GROUP[:3], columns[0], GROUP[3], *columns[1:])
    keys = [_ranks(table[name]) for name in order]
    rows = np.lexsort(keys[::-1])
    # Equal numbers have the same index and key. Of a stable sort by both, the first of each run is kept.
    key, index = _ranks(table["key"]), keys[order.index("index")]
    by_key = np.lexsort((key, index))
    is_again = np.zeros(len(table), np.bool_)
    same = (key[by_key][1:] == key[by_key][:-1]) & (index[by_key][1:] == index[by_key][:-1])
    is_again[by_key[1:]] = same & (key[by_key][1:] >= 0)
    return table.take(pa.array(rows[~is_again[rows]]))


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a text column as one array with one dictionary."""
    held = column.combine_chunks()
    if isinstance(held, pa.ChunkedArray):  # of no chunk
        held = pa.array([], column.type)
    return held if pa.types.is_dictionary(held.type) else held.dictionary_encode()


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return numbers that sort as a column does, nulls first as −1."""
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column, _UNKNOWN).to_numpy(), np.int64)
    held = _coded(column)
    ranks = np.empty(len(held.dictionary) + 1, np.int64)
    ranks[np.asarray(pc.sort_indices(held.dictionary))] = np.arange(len(held.dictionary))
    ranks[-1] = _UNKNOWN
    return np.asarray(ranks[pc.fill_null(held.indices, len(held.dictionary)).to_numpy()], np.int64)
