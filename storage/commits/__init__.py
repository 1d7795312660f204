"""What is committed: the store's record, manifests, markers, and retirements that take layers out of sight again."""

from storage.commits.markers import Markers
from storage.commits.recent_markers import RECENT_MARKERS
from storage.commits.retiring import (
    RETIRED,
    RetiredLayer,
    kept_shards,
    latest_of,
    retire,
    retirement_key,
    retirements,
)
from storage.commits.sealed_layer_sets import (
    all_manifests,
    demand_same_specs,
    dump_keys,
    find_manifest,
    forget_manifests,
    manifest_of,
    manifests,
    may_have,
    out_of_sight,
    sealed_specs,
    split_keys,
)
from storage.commits.store_record import STORE, STORE_RECORD, make_root, root_files, strangers

__all__ = [
    "RECENT_MARKERS",
    "RETIRED",
    "STORE",
    "STORE_RECORD",
    "Markers",
    "RetiredLayer",
    "all_manifests",
    "demand_same_specs",
    "dump_keys",
    "find_manifest",
    "forget_manifests",
    "kept_shards",
    "latest_of",
    "make_root",
    "manifest_of",
    "manifests",
    "may_have",
    "out_of_sight",
    "retire",
    "retirement_key",
    "retirements",
    "root_files",
    "sealed_specs",
    "split_keys",
    "strangers",
]
