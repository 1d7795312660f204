"""Models of which there are only activations: their layers, and their representations in the run's store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, StoredData
from stitchpipe.errors import nearest
from stitchpipe.graph import LayerInfo
from stitchpipe.registry import index_measure
from stitchpipe.sweep.folder import opened_store
from storage import Address, NotFoundError

if TYPE_CHECKING:
    from stitchpipe.config import IngestedModel, Sweep
    from stitchpipe.sweep.folder import Folder
    from storage import Representation, SealedLayer, Store

TRAIN, TEST = "train", "test"
SPLITS = (TRAIN, TEST)


def ingested_layers(sweep: Sweep, folder: Folder | None, declared: IngestedModel) -> tuple[LayerInfo, ...]:
    """Return the layers that were ingested for a model, as ``layer2`` before ``layer10``.

    No layer is a cut: nothing can run from it.

    Raises
    ------
    ConfigError
        The store has none on the test split, or there is no store; a fingerprint that the sweep names is of none.
    """
    found: dict[str, tuple[int, ...]] = {}
    if folder is not None and (store := _store_there(sweep, folder)) is not None:
        _demand_fingerprints(sweep, store, declared)
        found = {one.address.layer: one.shape[1:] for one in _sealed(sweep, store, declared, TEST)}
    if not found:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected=f"ingested activations on split '{TEST}' of data set '{sweep.data.label}'"
            + (f" in {folder.store_of(sweep)}" if folder is not None else ""),
            found="none",
            remedy=f"Put them there with `stitchpipe ingest DIR FILE --dataset {sweep.data.label} "
            f"--split {TEST} --model {declared.name}`, DIR being the --out of this sweep.",
        )
    return tuple(LayerInfo(name, found[name], is_cut=False) for name in sorted(found, key=_natural))


def _demand_fingerprints(sweep: Sweep, store: Store, declared: IngestedModel) -> None:
    """Refuse a fingerprint that nothing of the model has: it would choose nothing, in silence."""
    known = {
        sealed.fingerprint for sealed in store.representations(dataset=sweep.data.label, model=declared.name)
    }
    for digits in declared.fingerprints:
        if known and not any(fingerprint.startswith(digits) for fingerprint in known):
            raise ConfigError(
                where=f"model '{declared.name}', fingerprints",
                expected=f"the first digits of one of {', '.join(sorted(each[:12] for each in known))}",
                found=f"'{digits}'",
                remedy=nearest(digits, [each[: len(digits)] for each in known]) or "Name one of these.",
            )


def _store_there(sweep: Sweep, folder: Folder) -> Store | None:
    """Return the run's store, or None where nothing was put there yet."""
    try:
        return opened_store(sweep, folder)
    except NotFoundError:
        return None


def ingested_representation(
    sweep: Sweep, store: Store, declared: IngestedModel, layer: str, split: str
) -> Representation:
    """Open one ingested layer on one split.

    A store without a training split has nothing to fit on, which `demand_fitting_split` refused where something is
    fitted: the test split then stands in, unread.

    Raises
    ------
    ConfigError
        There are several, and the sweep does not say which.
    storage.StoreError
        There is none.
    """
    if split == TRAIN and TRAIN not in stored_splits(sweep, store):
        split = TEST
    address = Address(sweep.data.label, split, declared.name, layer)
    sealed = _sealed(sweep, store, declared, split, layer)
    if len(sealed) > 1:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected=f"one representation called {address}",
            found=f"{len(sealed)}: {', '.join(one.fingerprint[:12] for one in sealed)}",
            remedy='Say which one is meant: fingerprints = ["DIGITS"] in its [[models]] table.',
        )
    return store.representation(address, fingerprint=sealed[0].fingerprint if sealed else None)


def _sealed(
    sweep: Sweep, store: Store, declared: IngestedModel, split: str, layer: str | None = None
) -> list[SealedLayer]:
    """Return what is sealed for a model on a split; where a fingerprint that the sweep names is there, that alone."""
    found = store.representations(dataset=sweep.data.label, split=split, model=declared.name, layer=layer)
    named = [one for one in found if one.fingerprint.startswith(declared.fingerprints)]
    chosen = {one.address for one in named}
    return [one for one in found if one in named or one.address not in chosen]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names as people do: numbers by value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def stored_splits(sweep: Sweep, store: Store) -> tuple[str, ...]:
    """Return which of the training and the test split the pipeline can use: both, unless the store is all there is."""
    if not isinstance(sweep.data, StoredData):
        return SPLITS
    return tuple(name for name in SPLITS if (sweep.data.label, name) in store.splits())


def demand_fitting_split(sweep: Sweep, folder: Folder | None) -> None:
    """Refuse maps and stitches where the store has no training split to fit them on."""
    held_out = sorted(
        {index for one in sweep.compare for index in one.indices if index_measure(index).held_out}
    )
    wanted = [*held_out, *(["stitches"] if sweep.stitch else [])]
    if not isinstance(sweep.data, StoredData) or folder is None or not wanted:
        return
    store = _store_there(sweep, folder)
    if store is None:
        return
    there = stored_splits(sweep, store)
    if TRAIN not in there:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected=f"a split '{TRAIN}' of data set '{sweep.data.label}', for maps to be fitted on",
            found=f"only '{', '.join(there)}', with {', '.join(wanted)} asked for",
            remedy=f"Ingest activations of other samples with --split {TRAIN}, or ask for other indices.",
        )
