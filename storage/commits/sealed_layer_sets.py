"""What is committed: finding manifests on the disk and demanding that each lies where it belongs."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from stitchpipe.errors import nearest
from storage.commits.retiring import latest_of, retired_since, retirements
from storage.errors import AmbiguousError, ConflictError, CorruptError, EvictedError, NotFoundError
from storage.format import MANIFEST, Manifest, dump_key, layer_set_name, manifest_key, read_record
from storage.place import COMMITS, decode_name, encode_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from storage.commits.retiring import Retirement
    from storage.format import Address, DumpIdentity, LayerSpec
    from storage.place import Place


def dump_keys(
    place: Place, *, dataset: str | None = None, split: str | None = None, model: str | None = None
) -> Iterator[str]:
    """Yield the keys of the dumps, sealed or not, in the order of their names on the disk."""
    for parent in split_keys(place, dataset=dataset, split=split):
        for name in place.directories(parent):
            stem, separator, _ = name.rpartition("~")
            if separator and (model is None or stem == encode_name(model)):
                yield f"{parent}/{name}"


def may_have(dump: str, fingerprint: str | None) -> bool:
    """Return whether a dump, by its key, may be one whose fingerprint begins with these digits, or any for None."""
    return dump.rpartition("~")[2].startswith((fingerprint or "")[:12])


def split_keys(place: Place, *, dataset: str | None = None, split: str | None = None) -> Iterator[str]:
    """Yield the keys of the splits' groups."""
    for first in place.directories() if dataset is None else [encode_name(dataset)]:
        for second in place.directories(first) if split is None else [encode_name(split)]:
            yield f"{first}/{second}"


def manifests(place: Place, dump: str) -> list[Manifest]:
    """Return the manifests of one dump, one per layer set that was sealed, without the layers that were retired since.

    Raises
    ------
    CorruptError
        A manifest is damaged, or belongs elsewhere.
    """
    history = retirements(place, dump)
    in_sight = []
    for manifest in all_manifests(place, dump):
        # A manifest speaks for a layer only if its layer set was begun after the layer's last retirement. An evicted or
        # damaged layer stays out of sight this way though the manifest that had sealed it still lies there.
        live = {
            name: layer
            for name, layer in manifest.layers.items()
            if manifest.generation >= retired_since(history, name)
        }
        if live:
            in_sight.append(replace(manifest, layers=live))
    return in_sight


def all_manifests(place: Place, dump: str) -> Iterator[Manifest]:
    """Yield every manifest of one dump whole, also where its layers were retired.

    Raises
    ------
    CorruptError
        A manifest is damaged, or belongs elsewhere.
    """
    for name in place.directories(f"{dump}/{COMMITS}"):
        manifest = manifest_of(place, dump, name)
        if manifest is not None:
            yield manifest


def out_of_sight(place: Place, dump: str) -> Iterator[tuple[Manifest, str, Retirement]]:
    """Yield what was retired and not dumped again: the manifest that had sealed it, the layer, the retirement.

    Raises
    ------
    CorruptError
        A manifest or retirement is damaged.
    """
    history = retirements(place, dump)
    if not history:
        return
    live = {name for manifest in manifests(place, dump) for name in manifest.layers}
    for manifest in all_manifests(place, dump):
        for name in manifest.layers:
            last = latest_of(history, name)
            if last is not None and name not in live and last.layers[name].layer_set == manifest.layer_set:
                yield manifest, name, last


def manifest_of(place: Place, dump: str, layer_set: str) -> Manifest | None:
    """Return the manifest of one layer set whole, or None where it was not sealed; errors as `all_manifests`."""
    key = manifest_key(dump, layer_set)
    version = place.version(key)
    return None if version is None else _read_version(place, dump, layer_set, key, version)


def sealed_specs(place: Place, dump: str) -> dict[str, LayerSpec]:
    """Return shape and dtype of every layer of a dump that is sealed."""
    return {name: spec for manifest in manifests(place, dump) for name, spec in manifest.specs.items()}


def demand_same_specs(
    dump: DumpIdentity, wanted: Mapping[str, LayerSpec], sealed: Mapping[str, LayerSpec]
) -> None:
    """Refuse layers that are sealed in another form.

    Raises
    ------
    ConflictError
        The shape or dtype of a sealed layer differs.
    """
    for name, spec in wanted.items():
        if name in sealed and sealed[name] != spec:
            raise ConflictError(
                where=dump.label(name),
                expected=f"samples of shape {sealed[name].shape} as {sealed[name].dtype}, as sealed",
                found=f"{spec.shape} as {spec.dtype}",
                remedy="Record what differs (dtype, capture) in the identity, so that it becomes another dump.",
            )


def find_manifest(place: Place, address: Address, fingerprint: str | None) -> Manifest:
    """Return the manifest that sealed a representation; `fingerprint` may be its first digits.

    Raises
    ------
    NotFoundError
        There is none, or it is not sealed yet; the message names the nearest layer or model.
    AmbiguousError
        Several dumps are sealed under this name and no fingerprint tells them apart.
    """
    keys = list(dump_keys(place, dataset=address.dataset, split=address.split, model=address.model))
    sealed = [manifest for key in keys for manifest in manifests(place, key)]
    chosen = [m for m in sealed if m.fingerprint.startswith(fingerprint or "")]
    holding = {m.fingerprint: m for m in chosen if address.layer in m.layers}
    if not holding:
        raise _retired(place, address, fingerprint, keys) or _absent(
            place, address, fingerprint, sealed, begun=len(keys)
        )
    if len(holding) > 1:
        raise AmbiguousError(where=str(address), fingerprints=sorted(holding))
    return next(iter(holding.values()))


def _retired(
    place: Place, address: Address, fingerprint: str | None, dumps: list[str]
) -> NotFoundError | None:
    """Return the error for a representation that was there and is out of sight, or None where it never was."""
    latest = [
        latest_of(retirements(place, dump), address.layer) for dump in dumps if may_have(dump, fingerprint)
    ]
    last = max(filter(None, latest), key=lambda retirement: retirement.at_s, default=None)
    if last is None:
        return None
    where, expected = place.url, f"the values of {address}"
    if last.reason == "evicted":
        found = f"that it was evicted on {last.day}"
        return EvictedError(where=where, expected=expected, found=found, remedy="Dump it again.")
    found = f"that a repair on {last.day} took it out of sight: row groups are damaged"
    remedy = "Dump it again: only these row groups are computed."
    return NotFoundError(where=where, expected=expected, found=found, remedy=remedy)


def _absent(
    place: Place, address: Address, fingerprint: str | None, sealed: list[Manifest], *, begun: int
) -> NotFoundError:
    """Return the error for a representation that cannot be opened, with what is nearest to it."""
    layers = sorted({layer for m in sealed for layer in m.layers})
    if sealed and address.layer in layers:
        found = "other fingerprints: " + ", ".join(sorted({m.fingerprint for m in sealed}))
        remedy = "Pass one of these."
    elif sealed:
        found = f"{len(layers)} other layers of this model"
        remedy = nearest(address.layer, layers, most=3) or f"There are {_some_of(layers)}."
    elif begun:
        found, remedy = "a dump that is not finished", "Run the dump again: it resumes."
    else:
        # By their names alone, one listing: to look for what is not there yet is no mistake, and often done.
        models = sorted(set(_models_of(dump_keys(place, dataset=address.dataset, split=address.split))))
        found = f"{len(models)} other models on this split"
        remedy = nearest(address.model, models, most=3) or "Dump it first."
    asked = "" if fingerprint is None else f" with the fingerprint {fingerprint}"
    return NotFoundError(
        where=place.url, expected=f"a sealed representation {address}{asked}", found=found, remedy=remedy
    )


def _models_of(dumps: Iterable[str]) -> Iterator[str]:
    """Yield the model of each dump, by its key; names that are too long for a key are left out."""
    for key in dumps:
        model = decode_name(key.rpartition("/")[2].rpartition("~")[0])
        if model is not None:
            yield model


def _some_of(names: list[str]) -> str:
    """Return the first names of many."""
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def forget_manifests() -> None:
    """Let manifests be read anew."""
    _read_version.cache_clear()


@lru_cache(maxsize=512)
def _read_version(place: Place, dump: str, name: str, key: str, version: tuple[int | str, ...]) -> Manifest:
    """Read one version of a manifest; the version is only the cache's key."""
    del version
    manifest = Manifest.from_json(read_record(place, key, kind=MANIFEST))
    home = dump_key(manifest.dataset, manifest.split, manifest.model, manifest.fingerprint)
    if (home, manifest.layer_set, layer_set_name(manifest.specs, manifest.generation)) != (dump, name, name):
        raise CorruptError(
            representation=dump,
            row_group=None,
            file=place.path(key),
            expected="the manifest of this dump and layer set",
            found=f"the one of {home}",
        )
    return manifest
