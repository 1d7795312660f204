"""Repairing a split: its arrays follow from its record, and its record from sound arrays that manifests agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from storage.commits import all_manifests
from storage.errors import CorruptError, NotFoundError
from storage.format import (
    FileRecord,
    UndecodableError,
    attributes_of,
    decode_vector,
    digest_of_ids,
    group_metadata,
    read_record,
    row_group_bounds,
    split_record_key,
)
from storage.problems import Problem, problem_of
from storage.splits import SPLIT, Split, add_split, arrays_beside, split_of

if TYPE_CHECKING:
    from storage.format import Manifest
    from storage.maintenance.repairing.mending import Mending
    from storage.place import Place

_REMEDY = "Restore this file from a copy, or add the same split again: its samples, labels, groups, row groups, seed."


def repair_split(mending: Mending, key: str) -> Split | None:
    """Repair the split under `key`; return it, or None where there is none that could be relied on."""
    place = mending.place
    record = split_record_key(key)
    sealed = _sealed_over(place, key)
    wanted = None if sealed is None else sealed.sample_digest
    problem, split, files = None, None, []
    try:
        content = read_record(place, record, kind=SPLIT)
        files = [FileRecord(**file) for file in content["files"]]
        split = split_of(content)
        if wanted is not None and split.sample_digest != wanted:
            expected = f"samples with the digest {wanted[:12]}"
            found = split.sample_digest[:12]
            problem = Problem(key, None, place.path(record), expected, found, _REMEDY)
    except NotFoundError as error:
        if wanted is None:
            return None  # a writer did not come to commit it
        problem = problem_of(error, label=key)
    except CorruptError as error:
        problem = problem_of(error, label=key)
    if problem is not None:
        return _rebuilt(mending, key, problem, sealed)
    assert split is not None  # noqa: S101  (for the type checker)
    _settle_files(mending, key, split, files, complete=wanted is not None)
    return split


def _settle_files(
    mending: Mending, key: str, split: Split, files: list[FileRecord], *, complete: bool
) -> None:
    """Restore the arrays beside a sound record; where this version makes them otherwise, the record as well."""
    made = arrays_made(mending.place, split)
    present = [file for file in files if complete or mending.place.size(file.key) is not None]
    if mending.settle_all("", present, made, label=key):
        return
    record = split_record_key(key)
    expected = "a record of the files beside it"
    mending.take_out(
        record, Problem(key, None, mending.place.path(record), expected, "one of older files", "")
    )
    _commit(mending, key, split)


def arrays_made(place: Place, split: Split) -> dict[str, bytes]:
    """Return the files beside a split's record as this version makes them."""
    made = arrays_beside(place, split)
    above = next(iter(made))
    return {**made, above: group_metadata({"dataset": split.dataset})}


def _rebuilt(mending: Mending, key: str, problem: Problem, sealed: Manifest | None) -> Split | None:
    """Make a split's record again from the arrays beside it, or say that it cannot be done."""
    record = split_record_key(key)
    split = _from_arrays(mending.place, key, sealed)
    mending.take_out(record, problem)
    if split is None:
        mending.left.append(
            Problem(key, None, problem.file, "samples that can be relied on", problem.found, _REMEDY)
        )
        return None
    _commit(mending, key, split)
    return split


def _commit(mending: Mending, key: str, split: Split) -> None:
    """Put the files of a split in place, then its record."""
    for name, data in arrays_made(mending.place, split).items():
        mending.demand(name, data, label=key)
    add_split(mending.place, split)
    mending.restored.append(split_record_key(key))


def _sealed_over(place: Place, key: str) -> Manifest | None:
    """Return a sound manifest of a dump over this split, or None."""
    for name in place.directories(key):
        try:
            for manifest in all_manifests(place, f"{key}/{name}"):
                return manifest
        except (CorruptError, NotFoundError):
            continue
    return None


def _from_arrays(place: Place, key: str, sealed: Manifest | None) -> Split | None:
    """Return the split that the arrays beside a lost record hold, if their ids have the digest that was committed."""
    try:
        about = attributes_of(place.read(f"{key}/zarr.json"))
    except (CorruptError, NotFoundError):
        about = {}
    if sealed is not None:
        own = {"dataset": sealed.dataset, "split": sealed.split, "sample_digest": sealed.sample_digest}
        about = {**about, **own}
    ids = _vector(place, f"{key}/sample_id")
    order, groups = _vector(place, f"{key}/original_index"), _vector(place, f"{key}/row_group")
    if ids is None or order is None or groups is None or not {"dataset", "split"} <= set(about):
        return None
    named = tuple(str(sample) for sample in ids.tolist())
    digest = digest_of_ids(named)
    n = len(named)
    if digest != about.get("sample_digest") or sorted(order.tolist()) != list(range(n)):
        return None
    labels, of_samples = _vector(place, f"{key}/label"), _vector(place, f"{key}/group")
    for name, vector in (("label", labels), ("group", of_samples)):
        if vector is None and _exists(place, f"{key}/{name}"):
            return None
    named_groups = None if of_samples is None else tuple(map(str, of_samples.tolist()))
    if about.get("group_digest") != (None if named_groups is None else digest_of_ids(named_groups)):
        return None
    return Split(
        dataset=about["dataset"],
        name=about["split"],
        sample_ids=named,
        labels=None if labels is None else labels.astype(np.int64),
        class_names=tuple(about.get("class_names", ())),
        original_index=order.astype(np.int64),
        row_groups=row_group_bounds(n, int((groups == groups[0]).sum())),
        sample_digest=digest,
        provenance={"rebuilt": "from the arrays beside the record, by a repair"},
        groups=named_groups,
    )


def _exists(place: Place, key: str) -> bool:
    """Return whether an array has any file."""
    return any(True for _ in place.entries(key))


def _vector(place: Place, key: str) -> Any:
    """Return a small array's values, or None where it cannot be read; its checksum is compared."""
    try:
        files = {name: place.read(f"{key}/{name}") for name in ("zarr.json", "c/0")}
        return decode_vector(files)
    except (CorruptError, NotFoundError, UndecodableError):
        return None
