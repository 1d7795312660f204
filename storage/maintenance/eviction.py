"""Evicting: giving up the values of representations to make room; what they were stays known.

A retirement takes the layers out of sight, then their shards are removed. Manifests, markers and coordinates stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from storage.commits import RetiredLayer, all_manifests, dump_keys, manifests, may_have, out_of_sight, retire
from storage.format import Address
from storage.place import COMMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.place import Place


@dataclass(frozen=True, order=True)
class EvictedLayer:
    """A representation whose values were given up.

    `n_bytes` is what its shards took, and a new dump will take; `evicted_s` is when, in seconds since the epoch.
    """

    address: Address
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int
    evicted_s: float


class Filters(TypedDict, total=False):
    """Which representations; `fingerprint` may be its first digits."""

    dataset: str | None
    split: str | None
    model: str | None
    layer: str | None
    fingerprint: str | None


@dataclass(frozen=True)
class Evicted:
    """What an eviction took out of sight, and the bytes of the shards that it removed."""

    layers: tuple[EvictedLayer, ...]
    n_bytes: int


def evict(
    place: Place,
    *,
    dataset: str | None = None,
    split: str | None = None,
    model: str | None = None,
    layer: str | None = None,
    fingerprint: str | None = None,
) -> Evicted:
    """Retire the sealed representations that the filters let through, then remove their shards.

    A crash leaves shards that nobody sees; the same call removes them, as garbage collection does. Where a new dump
    of an evicted layer has begun meanwhile, its shards are left to it.

    Raises
    ------
    CorruptError
        A manifest or retirement of a dump is damaged.
    WriteError
        The place refused.
    """
    chosen: list[EvictedLayer] = []
    n_bytes = 0
    for dump in dump_keys(place, dataset=dataset, split=split, model=model):
        if not may_have(dump, fingerprint):
            continue
        live = {
            name: manifest.layer_set
            for manifest in manifests(place, dump)
            for name in manifest.layers
            if layer in (None, name)
        }
        # The layer sets there are now. Where another appears while shards are removed, a writer has begun to dump the
        # layers again and may adopt what lies there: the rest is left to it.
        layer_sets = set(place.directories(f"{dump}/{COMMITS}"))
        if live:
            retired = {name: RetiredLayer(layer_set, ()) for name, layer_set in live.items()}
            retire(place, dump, retired, reason="evicted")
        gone = [past for past in _evicted(place, dump) if layer in (None, past.address.layer)]
        chosen += [past for past in gone if past.address.layer in live]
        names = {past.address.layer for past in gone}
        n_bytes += _remove_shards(place, dump, names, known=layer_sets if live else _finished(place, dump))
    return Evicted(tuple(sorted(chosen)), n_bytes)


def evicted(
    place: Place,
    *,
    dataset: str | None = None,
    split: str | None = None,
    model: str | None = None,
    layer: str | None = None,
    fingerprint: str | None = None,
) -> list[EvictedLayer]:
    """Return what was evicted and not dumped again, sorted by address."""
    return sorted(
        past
        for dump in dump_keys(place, dataset=dataset, split=split, model=model)
        if may_have(dump, fingerprint)
        for past in _evicted(place, dump)
        if layer in (None, past.address.layer)
    )


def _evicted(place: Place, dump: str) -> Iterator[EvictedLayer]:
    """Yield the evicted layers of one dump."""
    for manifest, name, last in out_of_sight(place, dump):
        if last.reason == "evicted":
            record = manifest.layers[name]
            yield EvictedLayer(
                address=Address(manifest.dataset, manifest.split, manifest.model, name),
                fingerprint=manifest.fingerprint,
                shape=(manifest.n_samples, *record.shape),
                dtype=record.dtype,
                n_bytes=sum(shard.n_bytes for shard in record.shards),
                evicted_s=last.at_s,
            )


def _remove_shards(place: Place, dump: str, layers: set[str], *, known: set[str]) -> int:
    """Remove the shards of layers unless a layer set appears that is not `known`; return their bytes."""
    keys = dict.fromkeys(
        f"{dump}/{shard.key}"
        for manifest in all_manifests(place, dump)
        for name, record in manifest.layers.items()
        if name in layers
        for shard in record.shards
    )
    n_bytes = 0
    for key in keys:
        if set(place.directories(f"{dump}/{COMMITS}")) - known:
            break
        n_bytes += place.size(key) or 0
        place.remove(key)
    return n_bytes


def _finished(place: Place, dump: str) -> set[str]:
    """Return the layer sets of a dump that are sealed: others may be those of a writer at work."""
    return {manifest.layer_set for manifest in all_manifests(place, dump)}
