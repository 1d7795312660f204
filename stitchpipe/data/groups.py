"""Which images belong together: read from a CSV file, whatever the kind of data, and kept together by every cut.

Images of one subject, scene or film, and copies of one image, are no independent evidence. Where their groups are
declared, splits, intervals and nulls take whole groups.
"""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.data.images import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

COLUMNS: Final = ("sample", "group")
"""What the first line of the file says."""
MOST_SIZES: Final = 4
"""More of them are told as a range."""


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each sample.

    Raises
    ------
    DataError
        The file is missing, is no UTF-8, has other columns, names a sample twice or leaves a field empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = tuple(rows.fieldnames or ())
            if set(columns) != set(COLUMNS):
                raise _unfit(path, f"the columns {', '.join(columns) or '(none)'}")
            groups: dict[str, str] = {}
            for row in rows:
                sample, group = row["sample"], row["group"]
                if not sample or not group or None in row:
                    raise _unfit(path, f"line {rows.line_num} with other than two fields")
                if sample in groups:
                    raise _unfit(path, f"the sample '{sample}' more than once, again in line {rows.line_num}")
                groups[sample] = group
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise _unfit(path, found) from None
    return groups


def groups_of(sample_ids: Sequence[str], groups: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return the group of each image; `DataError` where one has none."""
    lacking = [sample for sample in sample_ids if sample not in groups]
    if lacking:
        raise DataError(
            where=f"{where}, data.groups",
            expected="a group for every image",
            found=f"none for {len(lacking)} of {len(sample_ids)} images, first '{lacking[0]}'",
            remedy="Add lines SAMPLE,GROUP; an image that is on its own is a group by itself.",
        )
    return tuple(groups[sample] for sample in sample_ids)


def demand_known(groups: Mapping[str, str], sample_ids: Iterable[str], path: Path) -> None:
    """Refuse groups of samples that are no images of the data."""
    unknown = sorted(groups.keys() - set(sample_ids))
    if unknown:
        raise DataError(
            where=str(path),
            expected="samples of this data set, by their ids",
            found=f"{len(unknown)} that it does not have, first '{unknown[0]}'",
            remedy="Correct the ids: paths below the root, the ids of the file, or numbers such as test/0001.",
        )


def whole_groups(groups: Sequence[str], *, limit: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of whole groups, in order: as they are drawn, each that still fits into `limit` images."""
    positions: dict[str, list[int]] = {}
    for position, group in enumerate(groups):
        positions.setdefault(group, []).append(position)
    kept: list[int] = []
    names = sorted(positions)
    for place in np.random.default_rng(seed).permutation(len(names)).tolist():
        if len(kept) + len(positions[names[place]]) <= limit:
            kept += positions[names[place]]
    if not kept:
        raise DataError(
            where="data.limit",
            expected="room for one group of images",
            found=f"{limit}, where the smallest has {min(map(len, positions.values()))}",
            remedy="Raise it.",
        )
    return np.sort(np.array(kept, np.int64))


def sizes_told(groups: Sequence[str] | None) -> tuple[str, ...]:
    """Return how many groups of which sizes there are, in words; nothing without groups."""
    if groups is None:
        return ()
    sizes = sorted(Counter(Counter(groups).values()).items())
    if len(sizes) > MOST_SIZES:
        count = sum(count for _, count in sizes)
        return (f"{count} groups of {sizes[0][0]} to {sizes[-1][0]} images",)
    return tuple(f"{_counted(count, 'group')} of {_counted(size, 'image')}" for size, count in sizes)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _unfit(path: Path, found: str) -> DataError:
    return DataError(
        where=f"{path}, data.groups",
        expected="a CSV file of the columns sample,group, with a line for each image",
        found=found,
        remedy="Correct the file or its path; relative ones start at the sweep file.",
    )
