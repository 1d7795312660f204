"""Checking a whole store against its records, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from storage.commits import (
    STORE,
    STORE_RECORD,
    dump_keys,
    forget_manifests,
    manifests,
    retirement_key,
    retirements,
    split_keys,
)
from storage.errors import REMEDY, StoreError
from storage.format import (
    MARKER,
    Address,
    FileRecord,
    digest_of_bytes,
    forget_records,
    marker_key,
    read_record,
    split_record_key,
)
from storage.maintenance.flags import flagged_without_manifest, no_manifest
from storage.place import encode_name
from storage.problems import Problem, problem_of
from storage.reading import ShardReader, forget_shards
from storage.splits import SPLIT, forget_splits, load_split
from storage.summaries import SUMMARIES, Summaries
from storage.writing import sealed_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.format import Manifest
    from storage.place import Place


def verify(
    place: Place,
    *,
    dataset: str | None = None,
    split: str | None = None,
    model: str | None = None,
    sample: float = 1.0,
    rng: np.random.Generator | None = None,
    on_shard: Callable[[str, int], None] | None = None,
) -> Iterator[Problem]:
    """Yield every problem of the splits and sealed dumps that the filters let through.

    Every inner chunk is read and held against its digest, every shard's index and every file beside the shards against
    what records say; records check themselves. Dumps that were never sealed are no problem, no reader sees them; nor
    are arrays beside the samples that a killed writer did not come to, as long as nothing is sealed there.

    Parameters
    ----------
    sample
        Share of the inner chunks that are read, chosen by `rng`; everything else is checked in any case, the size of
        every shard too.
    on_shard
        Called with (representation, bytes read) after each shard.

    Notes
    -----
    Reads everything once; memory: the largest shard.
    """
    chosen = _Sample(sample, np.random.default_rng() if rng is None else rng)
    # Bytes that a disk altered may lie there under their old size and time: what this process read before counts not.
    for forget in (forget_records, forget_manifests, forget_splits, forget_shards):
        forget()
    sealed: dict[str, list[Manifest]] = {}
    for key in dump_keys(place, dataset=dataset, split=split, model=model):
        try:
            sealed[key] = manifests(place, key)
        except StoreError as error:
            yield problem_of(error, label=key)
            continue
        yield from _problems_of_history(place, key, sealed[key])
        yield from _problems_of_flags(place, key)
    used = {key.rpartition("/")[0] for key, manifests_of_dump in sealed.items() if manifests_of_dump}
    yield from _problems_of_record(place, STORE_RECORD, STORE, label="store", complete=bool(used))
    for key in split_keys(place, dataset=dataset, split=split):
        record = split_record_key(key)
        yield from _problems_of_record(place, record, SPLIT, label=key, complete=key in used)
    for key, manifests_of_dump in sealed.items():
        for manifest in manifests_of_dump:
            yield from _problems_beside(place, key, manifest)
            for name in manifest.layers:
                shards = _Shards(place, key, manifest, name)
                for row_group in range(len(manifest.row_groups)):
                    yield from shards.problems(row_group, chosen)
                    if on_shard is not None:
                        on_shard(shards.label, manifest.layers[name].shards[row_group].n_bytes)


def verify_summaries(
    place: Place,
    *,
    sample: float = 1.0,
    rng: np.random.Generator | None = None,
    on_summary: Callable[[str, int], None] | None = None,
) -> Iterator[Problem]:
    """Yield every damaged summary of a store, but not those of work in progress, which count as missing.

    `sample` is the share of their arrays that are read, chosen by `rng`; `on_summary` is called with (file, its bytes)
    after each.
    """
    chosen = _Sample(sample, np.random.default_rng() if rng is None else rng)
    for _, damage in Summaries(place, SUMMARIES).damaged(chosen.chunks, on_summary):
        yield problem_of(damage, label="summary")


@dataclass(frozen=True)
class _Sample:
    """Which chunks of a shard are read."""

    share: float
    rng: np.random.Generator

    def chunks(self, count: int) -> list[int]:
        """Return some of `count` chunks: the share, rounded up or down at random so that it holds on average."""
        n = min(count, int(self.share * count + self.rng.random()))
        return (
            sorted(self.rng.choice(count, size=n, replace=False).tolist())
            if n < count
            else list(range(count))
        )


@dataclass(frozen=True)
class _Shards:
    """The shards of one layer."""

    place: Place
    dump: str
    manifest: Manifest
    layer: str

    @property
    def label(self) -> str:
        """How problems name the representation."""
        m = self.manifest
        return Address(m.dataset, m.split, m.model, self.layer).label(m.fingerprint)

    def problems(self, row_group: int, sample: _Sample) -> Iterator[Problem]:
        """Yield what is wrong with one shard; the first damaged chunk speaks for all."""
        record = self.manifest.layers[self.layer]
        reader = ShardReader(
            place=self.place,
            dump=self.dump,
            fingerprint=self.manifest.fingerprint,
            layer_set=self.manifest.layer_set,
            label=self.label,
            record=record,
            row_group=row_group,
            check=True,
        )
        try:
            reader.verify(sample.chunks)
        except StoreError as error:
            yield problem_of(error, label=self.label, row_group=row_group)


def _problems_of_record(
    place: Place, key: str, kind: str, *, label: str, complete: bool
) -> Iterator[Problem]:
    """Yield what is wrong with a record, and with the files it lists; both may be missing unless `complete`."""
    try:
        content = read_record(place, key, kind=kind) if complete or place.size(key) is not None else {}
        listed = [FileRecord(**file) for file in content.get("files", ())]
        present = [file for file in listed if complete or place.size(file.key) is not None]
    except StoreError as error:
        yield problem_of(error, label=label)
        return
    for file in present:
        yield from _problems_of_file(place, "", file, label=label)


def _problems_of_history(place: Place, dump: str, sealed: list[Manifest]) -> Iterator[Problem]:
    """Yield the retirement that is missing, if a layer set was begun after it."""
    there, counted = len(retirements(place, dump)), max((m.generation for m in sealed), default=0)
    if counted > there:
        yield Problem(
            representation=dump,
            row_group=None,
            file=place.path(retirement_key(dump, there)),
            expected=f"records of {counted} retirements, which a sealed layer set counts",
            found=f"{there}",
            remedy=REMEDY,
        )


def _problems_of_flags(place: Place, dump: str) -> Iterator[Problem]:
    """Yield the layers whose flag says that they are sealed, which is set behind the manifest, and no manifest does."""
    for layer in flagged_without_manifest(place, dump):
        yield no_manifest(place, dump, layer)


def _problems_beside(place: Place, dump: str, manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the files of a dump that are no shards; a flag may be missing, but must not lie."""
    try:
        stored = load_split(place, manifest.dataset, manifest.split).sample_digest
        if stored != manifest.sample_digest:
            yield Problem(
                representation=dump,
                row_group=None,
                file=place.path(split_record_key(dump.rpartition("/")[0])),
                expected=f"samples with the digest {manifest.sample_digest[:12]}",
                found=stored[:12],
                remedy=REMEDY,
            )
    except StoreError as error:
        yield problem_of(error, label=dump)
    for file in manifest.files:
        yield from _problems_of_file(place, dump, file, label=dump)
    for row_group in range(len(manifest.row_groups)):
        key = marker_key(dump, manifest.layer_set, row_group)
        yield from _problems_of_record(place, key, MARKER, label=dump, complete=True)
    for name, layer in manifest.layers.items():
        label = _Shards(place, dump, manifest, name).label
        for file in layer.files:
            yield from _problems_of_file(place, dump, file, label=label)
        flag = FileRecord.of(f"{encode_name(name)}/sealed/c", sealed_flag()["c"])
        if place.size(f"{dump}/{flag.key}") is not None:
            yield from _problems_of_file(place, dump, flag, label=label)


def _problems_of_file(place: Place, base: str, file: FileRecord, *, label: str) -> Iterator[Problem]:
    """Yield what is wrong with one file below `base`."""
    key = f"{base}/{file.key}".lstrip("/")
    try:
        data = place.read(key)
    except StoreError as error:
        yield problem_of(error, label=label)
        return
    digest = digest_of_bytes(data)
    if digest != file.sha256:
        yield Problem(
            representation=label,
            row_group=None,
            file=place.path(key),
            expected=f"{file.n_bytes} bytes, SHA-256 {file.sha256[:16]}…",
            found=f"{len(data)} bytes, {digest[:16]}…",
            remedy=REMEDY,
        )
