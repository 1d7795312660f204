"""Giving up stored activations to make room; results, maps and manifests stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.steps.maintenance import Kept, demand_known

if TYPE_CHECKING:
    from storage import EvictedLayer, SealedLayer


def to_evict(place: str, address: str, *, split: str | None) -> list[SealedLayer]:
    """Return the sealed representations that ``MODEL`` or ``MODEL/LAYER`` stands for.

    Raises
    ------
    WorkspaceError
        There is none; names the nearest.
    """
    sealed = Kept(place).store().representations()
    models = {candidate.address.model for candidate in sealed}
    model, _, layer = ("", "", "") if address in models else address.rpartition("/")
    if not model:
        model, layer = address, ""
    demand_known(place, "a model with activations in this store", model, models)
    mine = [candidate for candidate in sealed if candidate.address.model == model]
    if layer:
        demand_known(place, f"a layer of {model}", layer, {candidate.address.layer for candidate in mine})
    if split is not None:
        demand_known(place, f"a split of {model}", split, {candidate.address.split for candidate in mine})
    return [
        candidate
        for candidate in mine
        if layer in ("", candidate.address.layer) and split in (None, candidate.address.split)
    ]


def evict(place: str, chosen: list[SealedLayer]) -> list[EvictedLayer]:
    """Give up the values of representations; results, maps and manifests stay."""
    store = Kept(place).store(mode="a")
    evicted: list[EvictedLayer] = []
    for layer in chosen:
        at = layer.address
        gone = store.evict(
            dataset=at.dataset, split=at.split, model=at.model, layer=at.layer, fingerprint=layer.fingerprint
        )
        evicted += gone.layers
    return evicted
