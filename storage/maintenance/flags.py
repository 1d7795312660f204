"""Layers that say that they are sealed, and that no manifest names: their manifest was removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.commits import all_manifests
from storage.errors import REMEDY
from storage.place import COMMITS, encode_name
from storage.problems import Problem
from storage.writing import sealed_flag

if TYPE_CHECKING:
    from storage.place import Place


def flagged_without_manifest(place: Place, dump: str) -> list[str]:
    """Return the folders of such layers of a dump: a flag is set behind the manifest, and never before."""
    named = {encode_name(name) for manifest in all_manifests(place, dump) for name in manifest.layers}
    flags = {layer: f"{dump}/{layer}/sealed/c" for layer in place.directories(dump) if layer not in named}
    is_sealed = sealed_flag()["c"]
    return [
        layer for layer, key in flags.items() if place.size(key) is not None and place.read(key) == is_sealed
    ]


def no_manifest(place: Place, dump: str, layer: str) -> Problem:
    """Return the problem of such a layer."""
    return Problem(
        representation=f"{dump}/{layer}",
        row_group=None,
        file=place.path(f"{dump}/{COMMITS}"),
        expected="a manifest of this layer, which is flagged as sealed",
        found="none",
        remedy=REMEDY,
    )
