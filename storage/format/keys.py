"""Where in a store what lies: the keys that follow from names."""

from __future__ import annotations

from storage.place import COMMITS, encode_name

DUMP_RECORD = f"{COMMITS}/dump.json"
"""Where in its group the record lies of which dump it is."""

MANIFEST_NAME = "manifest.json"


def shard_key(layer: str, row_group: int, ndim: int) -> str:
    """Return ``<layer>/activations/c.<row group>.0…``, below the dump: flat names, one directory per array."""
    return f"{encode_name(layer)}/activations/c.{row_group}" + ".0" * (ndim - 1)


def split_key(dataset: str, split: str) -> str:
    """Return ``<data set>/<split>``, the group of a split."""
    return f"{encode_name(dataset)}/{encode_name(split)}"


def dump_key(dataset: str, split: str, model: str, fingerprint: str) -> str:
    """Return ``<data set>/<split>/<model>~<first 12 digits of the fingerprint>``, the group of a dump."""
    return f"{split_key(dataset, split)}/{encode_name(model)}~{fingerprint[:12]}"


def split_record_key(split: str) -> str:
    """Return ``<split>/commits/split.json``: the record that commits a split."""
    return f"{split}/{COMMITS}/split.json"


def dump_record_key(dump: str) -> str:
    """Return ``<dump>/commits/dump.json``: the record of which identity a dump has."""
    return f"{dump}/{DUMP_RECORD}"


def layer_set_key(dump: str, layer_set: str) -> str:
    """Return ``<dump>/commits/<layer set>``: below it lie the records of a set of layers written together."""
    return f"{dump}/{COMMITS}/{layer_set}"


def marker_key(dump: str, layer_set: str, row_group: int) -> str:
    """Return ``<dump>/commits/<layer set>/row-group-<number>.json``: what vouches for the shards of a row group."""
    return f"{layer_set_key(dump, layer_set)}/row-group-{row_group:05d}.json"


def manifest_key(dump: str, layer_set: str) -> str:
    """Return ``<dump>/commits/<layer set>/manifest.json``: what seals the layers of a set."""
    return f"{layer_set_key(dump, layer_set)}/{MANIFEST_NAME}"
