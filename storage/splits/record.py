"""Committing and reading splits.

A split is committed by one record that holds all of it; the arrays beside it (`storage.splits.arrays`) follow from it.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from storage.errors import ConflictError, NotFoundError
from storage.format import (
    FileRecord,
    create_record,
    digest_of_ids,
    read_record,
    row_group_bounds,
    split_key,
    split_record_key,
)
from storage.splits.arrays import arrays_beside
from storage.splits.split import Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.place import Place

SPLIT = "split"
"""Kind of the record that commits a split."""


def add_split(place: Place, split: Split) -> Split:
    """Commit a split, or find the same one there; then complete the arrays beside its record.

    Raises
    ------
    ConflictError
        A split of this name holds other samples, labels, groups or row groups.
    """
    beside = arrays_beside(place, split)
    content = {**_content(split), "files": [asdict(FileRecord.of(key, data)) for key, data in beside.items()]}
    key = split_record_key(split_key(split.dataset, split.name))
    if not create_record(place, key, kind=SPLIT, content=content):
        stored = read_record(place, key, kind=SPLIT)
        _demand_same(stored, content, where=f"{split.dataset}/{split.name}")
    for name, data in beside.items():
        place.create(name, data)
    return load_split(place, split.dataset, split.name)


def completed_split(place: Place, dataset: str, name: str) -> Split:
    """Return a committed split, complete and durable: a killed writer may have left it otherwise.

    Raises
    ------
    NotFoundError
        There is none of that name.
    """
    return add_split(place, load_split(place, dataset, name))


def load_split(place: Place, dataset: str, name: str) -> Split:
    """Return a committed split; the record is parsed once per process.

    Raises
    ------
    NotFoundError
        There is none of that name.
    CorruptError
        Its record was damaged.
    """
    key = split_record_key(split_key(dataset, name))
    version = place.version(key)
    if version is None:
        raise NotFoundError(
            where=place.url,
            expected=f"a split {name!r} of data set {dataset!r}",
            found="none",
            remedy="List what there is with splits(), or add it with add_split().",
        )
    return _load_version(place, key, version)


@lru_cache(maxsize=64)
def _load_version(place: Place, key: str, version: tuple[int | str, ...]) -> Split:
    """Return one version of a split; the version is only the cache's key."""
    del version
    return split_of(read_record(place, key, kind=SPLIT))


def forget_splits() -> None:
    """Let the records of splits be read anew."""
    _load_version.cache_clear()


def split_of(content: Mapping[str, Any]) -> Split:
    """Return the split a record describes; its arrays are read-only."""
    ids = tuple(content["sample_ids"])
    return Split(
        dataset=content["dataset"],
        name=content["split"],
        sample_ids=ids,
        labels=None if content["labels"] is None else _frozen(content["labels"]),
        class_names=tuple(content["class_names"]),
        original_index=_frozen(content["original_index"]),
        row_groups=row_group_bounds(len(ids), content["rows_per_group"]),
        sample_digest=digest_of_ids(ids),
        provenance=content["provenance"],
        groups=tuple(content["groups"]) if "groups" in content else None,
    )


def _content(split: Split) -> dict[str, Any]:
    """Return a split as plain JSON; of groups only where some were declared."""
    start, stop = split.row_groups[0]
    return {
        "dataset": split.dataset,
        "split": split.name,
        "sample_ids": list(split.sample_ids),
        "labels": None if split.labels is None else split.labels.tolist(),
        "class_names": list(split.class_names),
        "original_index": split.original_index.tolist(),
        "rows_per_group": stop - start,
        "provenance": dict(split.provenance),
        **({} if split.groups is None else {"groups": list(split.groups)}),
    }


def _demand_same(stored: Mapping[str, Any], wanted: Mapping[str, Any], *, where: str) -> None:
    """Refuse a split that differs from the stored one in anything but its provenance."""
    free = ("provenance", "files")
    known = dict.fromkeys((*wanted, *stored))
    differing = [key for key in known if key not in free and stored.get(key) != wanted.get(key)]
    if differing:
        raise ConflictError(
            where=where,
            expected="the samples, labels, groups and row groups that are stored under this name",
            found=f"others: they differ in {', '.join(differing)}",
            remedy="Add them under another split name, or use another store.",
        )


def _frozen(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return an int64 array that cannot be written to."""
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
