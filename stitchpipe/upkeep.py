"""Keeping a store well: checking it, repairing it and dumping again what was damaged, making room."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.config import load
from stitchpipe.location import named_store
from stitchpipe.workspace import WorkspaceError
from storage import Repair, Store, StoreError, open_place

if TYPE_CHECKING:
    from storage import EvictedLayer, Garbage, Problem, Redo, SealedLayer

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (name, done, total)."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True)
class Verdict:
    """What a check of a store found; `shards`, `summaries` and `n_bytes` are those it went through."""

    problems: tuple[Problem, ...]
    representations: int
    shards: int
    summaries: int
    n_bytes: int


def store_at(place: str, *, mode: Literal["r", "a"] = "r") -> Store:
    """Return the store of a run's folder, or the store that `place` itself is: a path or ``s3://`` URL.

    Its records are not read, so that a damaged store can be looked at and repaired.

    Raises
    ------
    WorkspaceError, LocationError
        There is neither.
    """
    location = named_store(place)
    if "://" in location or (Path(location) / "commits").is_dir():
        return Store(open_place(location), mode=mode)
    raise WorkspaceError(
        where=place,
        expected="the folder of a run, or a store",
        found="no store" if Path(place).is_dir() else "no such folder",
        remedy="Give the --out folder of a run, the path of a store, or its s3:// URL.",
    )


def verify(place: str, *, model: str | None, sample: str, progress: Progress) -> Verdict:
    """Check a store against its records, or a share of its chunks; see `storage.Store.verify`.

    Raises
    ------
    WorkspaceError
        No store, no such model, or `sample` is no share.
    """
    store = store_at(place)
    share = share_of(sample)
    sealed = _sealed(store)
    if model is not None and sealed:
        _demand_known(place, "a model of this store", model, {one.address.model for one in sealed})
    total = sum(one.n_bytes for one in sealed if model in (None, one.address.model))
    told = _Told("verify", total + (0 if model else _summary_bytes(store)), progress)
    found = store.verify(model=model, sample=share, on_shard=told.shard, on_summary=told.summary)
    told.finish()
    return Verdict(tuple(found), len(told.labels), told.shards, told.summaries, told.n_bytes)


def repair(place: str, *, progress: Progress) -> Repair:
    """Quarantine what is damaged and make again what can be; see `storage.maintenance.repairing`."""
    store = store_at(place, mode="a")
    told = _Told("check", sum(one.n_bytes for one in _sealed(store)) + _summary_bytes(store), progress)
    done = store.repair(on_shard=told.shard, on_summary=told.summary)
    told.finish()
    return done


def dump_again(
    place: str, redo: tuple[Redo, ...], *, sweep: str | None, progress: Progress
) -> tuple[Redo, ...]:
    """Dump again what a repair asks for, by the sweep's dump step; return what this sweep does not give.

    The sweep is the file given, or the one that the run's folder kept; without either nothing is dumped.

    Raises
    ------
    stitchpipe.config.ConfigError, storage.StoreError
        See `stitchpipe.sweep.dump`.
    """
    root = _run_of(place)
    if not redo or root is None:
        return redo
    # The sweep's package loads torch, which takes seconds: only where something is dumped.
    from stitchpipe.sweep.dumping import dump  # noqa: PLC0415
    from stitchpipe.sweep.folder import Folder  # noqa: PLC0415
    from stitchpipe.sweep.networks import SPLITS  # noqa: PLC0415

    folder = Folder(root)
    if sweep is None and not folder.declaration.is_file():
        return redo
    declared = load(str(folder.declaration) if sweep is None else sweep)
    wanted = {
        (one.address.model, one.address.split) for one in redo if one.address.dataset == declared.data.label
    }
    for model, split in sorted(wanted):
        if model in declared.labels and split in SPLITS:
            dump(declared, folder, model, split, report=partial(progress, f"dump {model}, {split}"))
    there = {(one.address, one.fingerprint) for one in store_at(place).representations()}
    return tuple(one for one in redo if (one.address, one.fingerprint) not in there)


def garbage(place: str, *, older_than: str) -> Garbage:
    """Return what can be removed from a store; see `storage.Store.gc`."""
    return store_at(place, mode="a").gc(older_than_s=seconds_of(older_than))


def to_evict(place: str, address: str, *, split: str | None) -> list[SealedLayer]:
    """Return the sealed representations that ``MODEL`` or ``MODEL/LAYER`` stands for.

    Raises
    ------
    WorkspaceError
        There is none; names the nearest.
    """
    sealed = store_at(place).representations()
    models = {one.address.model for one in sealed}
    model, _, layer = ("", "", "") if address in models else address.rpartition("/")
    if not model:
        model, layer = address, ""
    _demand_known(place, "a model with activations in this store", model, models)
    mine = [one for one in sealed if one.address.model == model]
    if layer:
        _demand_known(place, f"a layer of {model}", layer, {one.address.layer for one in mine})
    if split is not None:
        _demand_known(place, f"a split of {model}", split, {one.address.split for one in mine})
    return [one for one in mine if layer in ("", one.address.layer) and split in (None, one.address.split)]


def evict(place: str, chosen: list[SealedLayer]) -> list[EvictedLayer]:
    """Give up the values of representations; results, maps and manifests stay."""
    store = store_at(place, mode="a")
    done: list[EvictedLayer] = []
    for one in chosen:
        at = one.address
        gone = store.evict(
            dataset=at.dataset, split=at.split, model=at.model, layer=at.layer, fingerprint=one.fingerprint
        )
        done += gone.layers
    return done


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
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise WorkspaceError(
            where="--older-than",
            expected="an age such as 90s, 30m, 12h, 1d or 2w",
            found=f"'{text}'",
            remedy="Write a number and a unit.",
        )
    return float(found[1]) * _SECONDS[found[2]]


class _Told:
    """Adds up what a check went through, and passes it on as bytes out of `total`."""

    def __init__(self, name: str, total: int, progress: Progress) -> None:
        self._name, self._total, self._progress = name, total, progress
        self.labels: set[str] = set()
        self.shards = self.summaries = self.n_bytes = 0

    def shard(self, label: str, n_bytes: int) -> None:
        """Count one shard of a representation."""
        self.labels.add(label)
        self.shards += 1
        self._count(n_bytes)

    def summary(self, file: str, n_bytes: int) -> None:  # noqa: ARG002  (as `storage.verify` calls it)
        """Count one summary."""
        self.summaries += 1
        self._count(n_bytes)

    def _count(self, n_bytes: int) -> None:
        """Add bytes and say how far it is."""
        self.n_bytes += n_bytes
        self._progress(self._name, max(0, min(self.n_bytes, self._total - 1)), max(1, self._total))

    def finish(self) -> None:
        """Say that it is complete."""
        self._progress(self._name, max(1, self._total), max(1, self._total))


def _sealed(store: Store) -> list[SealedLayer]:
    """Return the sealed representations, or none where a damaged record hides them."""
    try:
        return store.representations()
    except StoreError:
        return []


def _summary_bytes(store: Store) -> int:
    """Return the bytes of the store's summaries, also of those that are not checked."""
    return sum(entry.n_bytes for entry in store.summaries.entries())


def _run_of(place: str) -> Path | None:
    """Return the run's folder that a store lies in, or None where it lies elsewhere."""
    if "://" in place:
        return None
    root = Path(place).absolute()
    if (root / "store.zarr").is_dir():
        return root
    return root.parent if root.name == "store.zarr" else None


def _demand_known(place: str, expected: str, name: str, known: set[str]) -> None:
    """Refuse a name that is not there, with those nearest to it."""
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, sorted(known), cutoff=0.0)) or "none: it is empty"
        raise WorkspaceError(where=place, expected=expected, found=f"'{name}'", remedy=f"Nearest: {near}.")
