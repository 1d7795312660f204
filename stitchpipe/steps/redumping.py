"""Dumping again what a repair had to take out of a store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stitchpipe.config import load, parse
from stitchpipe.run import SPLITS, Run, RunPlace
from stitchpipe.steps.dumping import dump
from stitchpipe.steps.maintenance import Kept, Progress

if TYPE_CHECKING:
    from stitchpipe.config import Sweep
    from storage import Redo


def dump_again(
    place: str, redo: tuple[Redo, ...], *, sweep: str | None, progress: Progress
) -> tuple[Redo, ...]:
    """Dump again what a repair asks for, by the sweep's dump step; return what this sweep does not give.

    The sweep is the file given, or the one that the run kept; without either nothing is dumped.

    Raises
    ------
    stitchpipe.config.ConfigError, storage.StoreError
        See `stitchpipe.steps.dump`.
    """
    root = _run_of(place)
    if not redo or root is None:
        return redo
    declared = _declared(root, sweep)
    if declared is None:
        return redo
    run = Run.open(declared, root)
    wanted = {
        (layer.address.model, layer.address.split)
        for layer in redo
        if layer.address.dataset == declared.data.label
    }
    for model, split in sorted(wanted):
        if model in declared.labels and split in SPLITS:
            dump(run, model, split, report=partial(progress, f"dump {model}, {split}"))
    there = {(layer.address, layer.fingerprint) for layer in Kept(place).store().representations()}
    return tuple(layer for layer in redo if (layer.address, layer.fingerprint) not in there)


def _declared(root: RunPlace, sweep: str | None) -> Sweep | None:
    """Return the sweep that is named, or the one that the run kept; None where there is neither."""
    if sweep is not None:
        return load(sweep)
    kept = root.declaration()
    return None if kept is None else parse(kept, where=f"{root.url}/sweep.toml", folder=Path())


def _run_of(place: str) -> RunPlace | None:
    """Return the run that a store lies in, or None where it lies elsewhere."""
    kept = Kept(place)
    if kept.files is not None:
        return RunPlace.at(place)
    home, _, name = place.rstrip("/").rpartition("/")
    return RunPlace.at(home or ".") if name == "store.zarr" else None
