"""Keeping a run well: checking it, repairing it and dumping again what was damaged, making room.

Every command takes the place of a run, whose store and files beside it are both looked at, or a store alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.asking import WorkspaceError
from stitchpipe.errors import nearest
from stitchpipe.run.inventory import gone, inventory_of, unsealed
from stitchpipe.run.place import RunPlace, named_store
from stitchpipe.steps.maintenance_outcomes import Leftovers, Mended, Verdict
from storage import (
    Store,
    StoreError,
    damaged_summaries,
    leftover_summaries,
    open_place,
    take_out_damaged,
)

if TYPE_CHECKING:
    from storage import CheckedFiles, SealedLayer

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (name, done, total)."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True)
class Kept:
    """What people mean by a place: a run, with its store and its files; or a store alone.

    Its records are not read, so that what is damaged can be looked at and repaired.
    """

    place: str

    @cached_property
    def _names_a_store(self) -> bool:
        return named_store(self.place) == self.place.rstrip("/")

    @cached_property
    def files(self) -> CheckedFiles | None:
        """The run's files; None of a store alone."""
        return None if self._names_a_store else RunPlace.at(self.place).files

    @cached_property
    def store_url(self) -> str:
        """Where the store lies."""
        return named_store(self.place)

    @cached_property
    def has_store(self) -> bool:
        """Whether there is a store."""
        return open_place(self.store_url).size("zarr.json") is not None or bool(
            open_place(self.store_url).directories()
        )

    def store(self, *, mode: Literal["r", "a"] = "r") -> Store:
        """Return the store, none of whose records are read.

        Raises
        ------
        WorkspaceError
            There is none.
        """
        if not self.has_store:
            is_folder = "://" in self.place or Path(self.place).is_dir()
            raise WorkspaceError(
                where=self.place,
                expected="the folder of a run, or a store",
                found="no store" if is_folder else "no such folder",
                remedy="Give the --out folder of a run, the path of a store, or its s3:// URL.",
            )
        return Store(open_place(self.store_url), mode=mode)


def verify(place: str, *, model: str | None, sample: str, progress: Progress) -> Verdict:
    """Check a store against its records, or a share of its chunks, and every file of the run beside it.

    Parameters
    ----------
    model
        Look at this model's dumps alone.

    Raises
    ------
    WorkspaceError
        No store, no such model, or `sample` is no share.
    """
    kept, share = Kept(place), share_of(sample)
    store = kept.store()
    sealed = _sealed(store)
    if model is not None and sealed:
        demand_known(place, "a model of this store", model, {layer.address.model for layer in sealed})
    total = sum(layer.n_bytes for layer in sealed if model in (None, layer.address.model))
    count = _Count("verify", total + (0 if model else _summary_bytes(store)), progress)
    problems = store.verify(model=model, sample=share, on_shard=count.shard, on_summary=count.summary)
    has_inventory = True
    # Files of the run belong to no single model, so a check of one model leaves them out.
    if kept.files is not None and model is None:
        run = RunPlace.at(place)
        problems = [*problems, *kept.files.verify(on_file=count.file), *gone(run), *unsealed(run, store)]
        problems += damaged_summaries(run.summaries, count.summary)
        has_inventory = inventory_of(run).is_taken
    count.finish()
    return Verdict(
        tuple(problems),
        len(count.labels),
        count.shards,
        count.summaries,
        count.files,
        count.n_bytes,
        misses_nothing=has_inventory,
    )


def repair(place: str, *, progress: Progress) -> Mended:
    """Quarantine what is damaged and make again what can be; see `storage.repair` and `storage.CheckedFiles.repair`."""
    kept = Kept(place)
    store = kept.store(mode="a")
    total = sum(layer.n_bytes for layer in _sealed(store)) + _summary_bytes(store)
    count = _Count("check", total, progress)
    of_files = None if kept.files is None else kept.files.repair(on_file=count.file)
    if of_files is not None:
        run = RunPlace.at(place)
        of_files.problems += gone(run)
        inventory_of(run).settle()
        problems, taken_out = take_out_damaged(run.summaries)
        of_files.problems += problems
        of_files.quarantined += taken_out
    of_store = store.repair(on_shard=count.shard, on_summary=count.summary)
    count.finish()
    return Mended(of_store, of_files)


def garbage(place: str, *, older_than: str) -> Leftovers:
    """Return what can be removed; see `storage.Store.gc` and `storage.CheckedFiles.gc`."""
    kept, age_s = Kept(place), seconds_of(older_than)
    if kept.files is None:
        return Leftovers(kept.store(mode="a").gc(older_than_s=age_s), None)
    of_files, summaries = kept.files.gc(older_than_s=age_s), RunPlace.at(place).summaries
    beside = leftover_summaries(summaries, older_than_s=age_s)
    return Leftovers(kept.store(mode="a").gc(older_than_s=age_s), of_files, beside, summaries)


def share_of(text: str) -> float:
    """Return a share from 0 to 1 that is written as 10% or 0.1."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise WorkspaceError(
            where="--sample", expected="a share such as 10% or 0.1", found=f"'{text}'", remedy="Write it so."
        )
    return share


def seconds_of(text: str) -> float:
    """Return the seconds of an age such as 90s, 30m, 12h, 1d or 2w."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if match is None:
        raise WorkspaceError(
            where="--older-than",
            expected="an age such as 90s, 30m, 12h, 1d or 2w",
            found=f"'{text}'",
            remedy="Write a number and a unit.",
        )
    return float(match[1]) * _SECONDS[match[2]]


@dataclass
class _Count:
    """Adds up what a check went through, and passes it on as bytes out of `total`."""

    name: str
    total: int
    progress: Progress
    labels: set[str] = field(default_factory=set)
    shards: int = 0
    summaries: int = 0
    files: int = 0
    n_bytes: int = 0

    def shard(self, label: str, n_bytes: int) -> None:
        """Count one shard of a representation."""
        self.labels.add(label)
        self.shards += 1
        self._add(n_bytes)

    def summary(self, file: str, n_bytes: int) -> None:  # noqa: ARG002  (as `storage.verify` calls it)
        """Count one summary."""
        self.summaries += 1
        self._add(n_bytes)

    def file(self, key: str, n_bytes: int) -> None:  # noqa: ARG002  (as `CheckedFiles.verify` calls it)
        """Count one file of the run."""
        self.files += 1
        self._add(n_bytes)

    def _add(self, n_bytes: int) -> None:
        """Add bytes and say how far it is."""
        self.n_bytes += n_bytes
        # The total leaves out the files beside the store, so the count stops one short of it until
        # `finish`.
        self.progress(self.name, max(0, min(self.n_bytes, self.total - 1)), max(1, self.total))

    def finish(self) -> None:
        """Say that it is complete."""
        self.progress(self.name, max(1, self.total), max(1, self.total))


def _sealed(store: Store) -> list[SealedLayer]:
    """Return the sealed representations, or none where a damaged record hides them."""
    try:
        return store.representations()
    except StoreError:
        return []


def _summary_bytes(store: Store) -> int:
    """Return the bytes of the store's summaries, also of those that are not checked."""
    return sum(entry.n_bytes for entry in store.summaries.entries())


def demand_known(place: str, expected: str, name: str, known: set[str]) -> None:
    """Refuse a name that is not there, with those nearest to it."""
    if name not in known:
        shown = ", ".join(sorted(known)[:12]) or "nothing"
        raise WorkspaceError(
            where=place,
            expected=expected,
            found=f"'{name}'",
            remedy=f"{nearest(name, known, most=3)} There is: {shown}.".lstrip(),
        )
