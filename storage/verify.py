"""Checking a whole store against its records, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import CorruptError, StoreError
from storage.layout import COMMITS
from storage.records import read_record
from storage.schema import Address, digest_of_bytes
from storage.sealed import dump_keys, manifests, split_keys
from storage.splits import load_split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.files import Files
    from storage.schema import LayerRecord, Manifest


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

    Every shard, and every file beside it that the manifest lists, is read and its SHA-256 compared; records
    check themselves. Dumps that were never sealed are no problem: no reader sees them.

    Notes
    -----
    Reads everything once; memory: the largest shard.
    """
    for key in split_keys(files, dataset=dataset, split=split):
        yield from _problems_of_split(files, key)
    for key in dump_keys(files, dataset=dataset, split=split, model=model):
        try:
            sealed = manifests(files, key)
        except StoreError as error:
            yield _problem(error, representation=key)
            continue
        for manifest in sealed:
            yield from _problems_of_manifest(files, key, manifest)


def _problems_of_split(files: Files, key: str) -> Iterator[Problem]:
    """Yield what is wrong with a split's record; none where it was never committed."""
    try:
        if files.stat(f"{key}/{COMMITS}/split.json") is not None:
            read_record(files, f"{key}/{COMMITS}/split.json", kind="split")
    except StoreError as error:
        yield _problem(error, representation=key)


def _problems_of_manifest(files: Files, dump: str, manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the layers that one pass committed."""
    try:
        stored = load_split(files, manifest.dataset, manifest.split).sample_digest
        if stored != manifest.sample_digest:
            found = f"samples with the digest {stored[:12]}"
            yield Problem(
                dump,
                None,
                files.root,
                f"the digest {manifest.sample_digest[:12]}",
                found,
                "Restore the split.",
            )
    except StoreError as error:
        yield _problem(error, representation=dump)
    for name, layer in manifest.layers.items():
        address = Address(manifest.dataset, manifest.split, manifest.model, name)
        label = f"{address} ({manifest.fingerprint[:12]})"
        yield from _problems_of_layer(files, dump, label, layer)


def _problems_of_layer(files: Files, dump: str, label: str, layer: LayerRecord) -> Iterator[Problem]:
    """Yield what is wrong with one layer's files."""
    listed = [(group, shard.key, shard.n_bytes, shard.sha256) for group, shard in enumerate(layer.shards)]
    beside = [(None, file.key, file.n_bytes, file.sha256) for file in layer.files]
    for group, within, n_bytes, sha256 in [*beside, *listed]:
        try:
            data = files.read(f"{dump}/{within}")
        except StoreError as error:
            yield _problem(error, representation=label, row_group=group)
            continue
        digest = digest_of_bytes(data)
        if digest != sha256:
            yield Problem(
                representation=label,
                row_group=group,
                file=files.path(f"{dump}/{within}"),
                expected=f"{n_bytes} bytes, SHA-256 {sha256[:16]}…",
                found=f"{len(data)} bytes, {digest[:16]}…",
                remedy="Restore this file from a copy, or remove the dump's directory and dump again.",
            )


def _problem(error: StoreError, *, representation: str, row_group: int | None = None) -> Problem:
    """Return what an error says about a representation."""
    file = error.file if isinstance(error, CorruptError) else error.where
    return Problem(representation, row_group, file, error.expected, error.found, error.remedy)
