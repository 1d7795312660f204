"""Splits: which samples, in which stored order and row groups, with which labels.

A split is committed by one record that holds all of it; the arrays beside it (`storage.split_arrays`) follow from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from storage.digests import digest_of_ids, plain
from storage.errors import ConflictError, NotFoundError, SampleIdError
from storage.layout import plan_split, row_group_bounds, split_key, split_record_key
from storage.records import create_record, read_record
from storage.schema import FileRecord
from storage.selection import mask_of_labels, positions_of_samples
from storage.split_arrays import arrays_beside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from storage.place import Place

SPLIT = "split"


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split, in storage order.

    Attributes
    ----------
    dataset, name
        Which split of which data set.
    sample_ids
        One id per stored row.
    labels
        int64 ``(n,)`` in storage order, or None.
    class_names
        Name of each label, or empty.
    original_index
        int64 ``(n,)``: position in the data set of each stored row.
    row_groups
        ``(start, stop)`` of each row group; equal sizes but the last.
    sample_digest
        SHA-256 of the ids in storage order: what pairing is checked by.
    provenance
        Where the samples came from.
    """

    dataset: str
    name: str
    sample_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    original_index: npt.NDArray[np.int64]
    row_groups: tuple[tuple[int, int], ...]
    sample_digest: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.sample_ids)

    def rows(
        self,
        *,
        sample_ids: Sequence[str] | None = None,
        labels: Collection[int | str] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return where samples are stored, as positions for `Representation.read_rows`.

        Parameters
        ----------
        sample_ids
            In the order in which rows are wanted; repeats allowed. Default: all, in storage order.
        labels
            Only samples of these classes, by number or name.

        Raises
        ------
        SampleIdError
            An id or a label that is not there; the nearest id is named.

        Notes
        -----
        O(n) the first time, then O(ids); reads no activations.
        """
        where = f"{self.dataset}/{self.name}"
        if sample_ids is None:
            found = np.arange(self.n_samples, dtype=np.int64)
        else:
            found = positions_of_samples(sample_ids, self._place_of, where=where)
        if labels is None:
            return found
        return found[mask_of_labels(labels, self.labels, self.class_names, where=where)[found]]

    @cached_property
    def _place_of(self) -> Mapping[str, int]:
        """Position of every sample."""
        return {sample: row for row, sample in enumerate(self.sample_ids)}


def add_split(place: Place, split: Split) -> Split:
    """Commit a split, or find the same one there; then complete the arrays beside its record.

    Raises
    ------
    ConflictError
        A split of this name holds other samples, labels or row groups.
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


def planned_split(
    dataset: str,
    name: str,
    sample_ids: Sequence[str],
    *,
    labels: npt.ArrayLike | None,
    class_names: Sequence[str],
    plan: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Split:
    """Return a split cut as `plan` says (arguments of `plan_split`), not yet stored.

    Raises
    ------
    SampleIdError
        Ids are missing or repeated, or there is not one whole-numbered label per sample.
    """
    groups = plan_split(sample_ids, **plan)
    ordered = tuple(sample_ids[i] for i in groups.order)
    return Split(
        dataset=dataset,
        name=name,
        sample_ids=ordered,
        labels=None if labels is None else _labels(labels, len(ordered))[groups.order],
        class_names=tuple(str(c) for c in class_names),
        original_index=groups.order,
        row_groups=groups.bounds,
        sample_digest=digest_of_ids(ordered),
        provenance=plain(dict(provenance), where=f"provenance of {dataset}/{name}"),
    )


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
    )


def _content(split: Split) -> dict[str, Any]:
    """Return a split as plain JSON."""
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
    }


def _demand_same(stored: Mapping[str, Any], wanted: Mapping[str, Any], *, where: str) -> None:
    """Refuse a split that differs from the stored one in anything but its provenance."""
    free = ("provenance", "files")
    differing = [key for key in wanted if key not in free and stored[key] != wanted[key]]
    if differing:
        raise ConflictError(
            where=where,
            expected="the samples, labels and row groups that are stored under this name",
            found=f"others: they differ in {', '.join(differing)}",
            remedy="Add them under another split name, or use another store.",
        )


def _labels(labels: npt.ArrayLike, n_samples: int) -> npt.NDArray[np.int64]:
    """Return labels as int64 ``(n,)``."""
    given = np.asarray(labels)
    if given.shape != (n_samples,) or given.dtype.kind not in "iu":
        raise SampleIdError(
            where="labels",
            expected=f"{n_samples} integers, one per sample id",
            found=f"shape {given.shape} of {given.dtype}",
            remedy="Pass one class number per sample, in the order of the ids.",
        )
    return given.astype(np.int64)


def _frozen(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return an int64 array that cannot be written to."""
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
