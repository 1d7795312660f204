"""Pure arithmetic of a split: row groups, and the chunks that a shard is cut into. Integers in, integers out.

A *row group* is a set of samples: the shard boundary of every layer, the unit of resume, the block of the
engine and the group of the jackknife, all at once.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from storage.errors import LayoutError, SampleIdError

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK_BYTES = 1 << 18
"""What an inner chunk may hold, uncompressed, unless the user says: the least a reader of single rows decodes."""

SHARD_BYTES = 1 << 26
"""What a shard of the largest layer may hold, uncompressed, unless the user says."""


@dataclass(frozen=True, eq=False)
class RowGroups:
    """The order in which samples are stored and where row groups begin and end.

    `order[i]` is the position in the data set of stored row i; `bounds` are ``(start, stop)`` of stored rows. So are
    `group_bounds`, of the groups that samples belong to; None where none were declared.
    """

    order: npt.NDArray[np.int64]
    bounds: tuple[tuple[int, int], ...]
    group_bounds: tuple[tuple[int, int], ...] | None = None


def plan_split(
    sample_ids: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    row_groups: int = 20,
    seed: int = 0,
    align_rows: int = 1,
    max_rows: int | None = None,
) -> RowGroups:
    """Cut a split into exchangeable row groups.

    Samples are stored in the order of a seeded SHA-256 of their id: row groups are random subsets even where the
    data set is sorted by class, and the set of samples in one does not depend on the order of the input. Samples of
    one group lie in one run, and the runs are in the order of the same hash of the group's id: groups that are named
    as their only samples change nothing. Row groups are of equal size all the same, so that a group may lie in two.

    Parameters
    ----------
    sample_ids
        Unique, non-empty text.
    groups
        What each sample belongs to, such as its subject, scene or source image; None where samples are on their own.
    row_groups
        How many groups to aim at; rounding rows up to `align_rows` can leave fewer.
    seed
        Of the hash.
    align_rows
        Row groups (but the last) hold a multiple of this many samples, such as a batch.
    max_rows
        No group is larger than this, or than `align_rows`: there are more of them instead. See `rows_of_shard`.

    Returns
    -------
    RowGroups
        Equal sizes but the last, which is never empty.

    Raises
    ------
    SampleIdError
        No ids, repeated ids, or an id that is not text; not one group for each sample.
    LayoutError
        `row_groups`, `align_rows` or `max_rows` below 1.

    Notes
    -----
    O(n log n) time, O(n) memory.
    """
    _check_ids(sample_ids)
    counts = {"row_groups": row_groups, "align_rows": align_rows, "max_rows": max_rows}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise LayoutError(where=name, expected="at least 1", found=str(value), remedy="Raise it.")
    keys = _hashed(sample_ids, seed)
    if groups is not None:
        check_groups(groups, len(keys))
        keys = [
            (*of_group, *of_sample) for of_group, of_sample in zip(_hashed(groups, seed), keys, strict=True)
        ]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    rows = rows_per_group(len(keys), row_groups=row_groups, align_rows=align_rows, max_rows=max_rows)
    return RowGroups(
        order=order,
        bounds=row_group_bounds(len(keys), rows),
        group_bounds=None if groups is None else runs_of([groups[i] for i in order]),
    )


def runs_of(groups: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return ``(start, stop)`` of each run of equal ids."""
    bounds, start = [], 0
    for _, run in groupby(groups):
        stop = start + sum(1 for _ in run)
        bounds.append((start, stop))
        start = stop
    return tuple(bounds)


def _hashed(ids: Sequence[str], seed: int) -> list[tuple[bytes | str, ...]]:
    """Return what ids are ordered by: their seeded hash, then they themselves."""
    prefix = f"{seed}\0".encode()
    return [(hashlib.sha256(prefix + name.encode()).digest(), name) for name in ids]


def rows_per_group(
    n_samples: int, *, row_groups: int, align_rows: int = 1, max_rows: int | None = None
) -> int:
    """Return the rows of every group but the last.

    Rounded up to a multiple of `align_rows`, and from 64 rows on also of 8, so that inner chunks divide it; rounded
    down where `max_rows` would be exceeded, but never below `align_rows`.
    """
    rows = math.ceil(n_samples / row_groups)
    step = math.lcm(align_rows, 8) if min(rows, max_rows or rows) >= 64 else align_rows
    rounded = math.ceil(rows / step) * step
    if max_rows is None or rounded <= max_rows:
        return rounded
    return max(max_rows // step * step, align_rows)


def rows_of_shard(sample_bytes: int, *, shard_bytes: int = SHARD_BYTES) -> int:
    """Return how many samples of a layer a shard of `shard_bytes`, uncompressed, may hold; at least 1."""
    return max(1, shard_bytes // max(1, sample_bytes))


def row_group_bounds(n_samples: int, rows: int) -> tuple[tuple[int, int], ...]:
    """Return ``(start, stop)`` of every row group of `rows` samples, the last cut at `n_samples`."""
    return tuple((start, min(start + rows, n_samples)) for start in range(0, n_samples, rows))


def part_of(count: int, *, part: int, parts: int) -> range:
    """Return the `part`-th (from 0) of `parts` contiguous ranges of ``range(count)``, equal but for one.

    Raises
    ------
    LayoutError
        There is no such part.
    """
    if not 0 <= part < parts:
        raise LayoutError(
            where="part of a dump",
            expected=f"a part from 0 to {parts - 1}" if parts > 0 else "at least one part",
            found=f"part {part} of {parts}",
            remedy="Count parts from 0.",
        )
    return range(count * part // parts, count * (part + 1) // parts)


def chunk_rows(rows: int, row_bytes: int, *, target_bytes: int = CHUNK_BYTES) -> int:
    """Return the rows of an inner chunk: the largest divisor of `rows` within `target_bytes`, at least 1."""
    fitting = max(1, target_bytes // max(1, row_bytes))
    return max(d for d in _divisors(rows) if d <= fitting)


def _divisors(value: int) -> set[int]:
    """Return the divisors of a positive integer in O(√value)."""
    small = [d for d in range(1, math.isqrt(value) + 1) if value % d == 0]
    return {*small, *(value // d for d in small)}


def _check_ids(sample_ids: Sequence[str]) -> None:
    """Refuse ids that cannot identify samples."""
    remedy = "Give every sample one id of its own, such as its relative path."
    if not len(sample_ids):
        raise SampleIdError(where="sample ids", expected="at least one", found="none", remedy=remedy)
    seen: set[str] = set()
    for position, sample in enumerate(sample_ids):
        if not isinstance(sample, str) or not sample or not _is_utf8(sample):
            raise SampleIdError(
                where=f"sample id {position}", expected="non-empty text", found=repr(sample), remedy=remedy
            )
        if sample in seen:
            raise SampleIdError(
                where=f"sample id {position}", expected="ids that differ", found=repr(sample), remedy=remedy
            )
        seen.add(sample)


def check_groups(groups: Sequence[str], n_samples: int) -> None:
    """Refuse groups that are not one non-empty text for each sample."""
    unfit = next(
        (at for at, name in enumerate(groups) if not isinstance(name, str) or not name or not _is_utf8(name)),
        None,
    )
    if len(groups) == n_samples and unfit is None:
        return
    raise SampleIdError(
        where="groups",
        expected=f"one non-empty text for each of the {n_samples} samples",
        found=f"{len(groups)} groups" if unfit is None else f"{groups[unfit]!r} for sample {unfit}",
        remedy="Name the group of every sample; one that is on its own is a group by itself.",
    )


def _is_utf8(text: str) -> bool:
    """Return whether text has a UTF-8 form (a lone surrogate has none)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
