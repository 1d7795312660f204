"""Checking a whole store against its records, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import REMEDY, CorruptError, StoreError
from storage.groups import sealed_flag
from storage.layout import COMMITS, marker_name
from storage.names import encode_name
from storage.records import read_record
from storage.schema import Address, FileRecord, digest_of_bytes
from storage.sealed import dump_keys, manifests, split_keys
from storage.splits import SPLIT, load_split
from storage.write import MARKER, pass_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.files import Files
    from storage.schema import LayerRecord, Manifest, ShardRecord

STORE = "store"
STORE_RECORD = f"{COMMITS}/store.json"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was committed; `row_group` is None where a file serves all of them."""

    representation: str
    row_group: int | None
    file: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        """Return one line."""
        group = "" if self.row_group is None else f", row group {self.row_group}"
        return (
            f"{self.representation}{group}, file {self.file}: expected {self.expected}, "
            f"found {self.found}. {self.remedy}"
        )


def verify(
    files: Files, *, dataset: str | None = None, split: str | None = None, model: str | None = None
) -> Iterator[Problem]:
    """Yield every problem of the splits and sealed dumps that the filters let through.

    Every shard, and every file beside it that a record lists, is read and its SHA-256 compared; records check
    themselves. Dumps that were never sealed are no problem, no reader sees them; nor are arrays beside the
    samples that a killed writer did not come to, as long as nothing is sealed there.

    Notes
    -----
    Reads everything once; memory: the largest shard.
    """
    sealed: dict[str, list[Manifest]] = {}
    for key in dump_keys(files, dataset=dataset, split=split, model=model):
        try:
            sealed[key] = manifests(files, key)
        except StoreError as error:
            yield _problem(error, label=key)
    used = {key.rpartition("/")[0] for key, passes in sealed.items() if passes}
    yield from _problems_of_record(files, STORE_RECORD, STORE, label="store", complete=bool(used))
    for key in split_keys(files, dataset=dataset, split=split):
        record = f"{key}/{COMMITS}/split.json"
        yield from _problems_of_record(files, record, SPLIT, label=key, complete=key in used)
    for key, passes in sealed.items():
        for manifest in passes:
            yield from _problems_of_manifest(files, key, manifest)


def _problems_of_record(
    files: Files, key: str, kind: str, *, label: str, complete: bool
) -> Iterator[Problem]:
    """Yield what is wrong with a record, if there is one, and with the files it lists."""
    try:
        content = read_record(files, key, kind=kind) if files.stat(key) is not None else {}
        listed = [FileRecord(**file) for file in content.get("files", ())]
        present = [file for file in listed if complete or files.stat(file.key) is not None]
    except StoreError as error:
        yield _problem(error, label=label)
        return
    for file in present:
        yield from _problems_of_file(files, "", file, label=label)


def _problems_of_manifest(files: Files, dump: str, manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the layers that one pass committed."""
    try:
        stored = load_split(files, manifest.dataset, manifest.split).sample_digest
        if stored != manifest.sample_digest:
            yield Problem(
                representation=dump,
                row_group=None,
                file=files.path(f"{dump.rpartition('/')[0]}/{COMMITS}/split.json"),
                expected=f"samples with the digest {manifest.sample_digest[:12]}",
                found=stored[:12],
                remedy="Restore the split's record from a copy.",
            )
    except StoreError as error:
        yield _problem(error, label=dump)
    for file in manifest.files:
        yield from _problems_of_file(files, dump, file, label=dump)
    for row_group in range(len(manifest.row_groups)):
        key = f"{dump}/{COMMITS}/{pass_digest(manifest.specs)}/{marker_name(row_group)}"
        yield from _problems_of_record(files, key, MARKER, label=dump, complete=True)
    for name, layer in manifest.layers.items():
        address = Address(manifest.dataset, manifest.split, manifest.model, name)
        yield from _problems_of_layer(files, dump, layer, label=f"{address} ({manifest.fingerprint[:12]})")


def _problems_of_layer(files: Files, dump: str, layer: LayerRecord, *, label: str) -> Iterator[Problem]:
    """Yield what is wrong with one layer's files; its flag may be missing, but must not lie."""
    for file in layer.files:
        yield from _problems_of_file(files, dump, file, label=label)
    flag = FileRecord.of(f"{encode_name(layer.layer)}/sealed/c", sealed_flag()["c"])
    if files.stat(f"{dump}/{flag.key}") is not None:
        yield from _problems_of_file(files, dump, flag, label=label)
    for row_group, shard in enumerate(layer.shards):
        yield from _problems_of_file(files, dump, shard, label=label, row_group=row_group)


def _problems_of_file(
    files: Files, base: str, file: FileRecord | ShardRecord, *, label: str, row_group: int | None = None
) -> Iterator[Problem]:
    """Yield what is wrong with one file below `base`."""
    key = f"{base}/{file.key}".lstrip("/")
    try:
        data = files.read(key)
    except StoreError as error:
        yield _problem(error, label=label, row_group=row_group)
        return
    digest = digest_of_bytes(data)
    if digest != file.sha256:
        yield Problem(
            representation=label,
            row_group=row_group,
            file=files.path(key),
            expected=f"{file.n_bytes} bytes, SHA-256 {file.sha256[:16]}…",
            found=f"{len(data)} bytes, {digest[:16]}…",
            remedy=REMEDY
            if row_group is not None
            else "Restore this file from a copy, or remove it and run again.",
        )


def _problem(error: StoreError, *, label: str, row_group: int | None = None) -> Problem:
    """Return what an error says about a representation."""
    file = error.file if isinstance(error, CorruptError) else error.where
    return Problem(label, row_group, file, error.expected, error.found, error.remedy)
