"""Keeping a store well: verifying, repairing, collecting garbage, evicting."""

from storage.maintenance.eviction import Evicted, EvictedLayer, Filters, evict, evicted
from storage.maintenance.garbage import Garbage, find_garbage
from storage.maintenance.repairing import Redo, Repair, repair
from storage.maintenance.strangers import strangers_in
from storage.maintenance.verification import verify, verify_summaries

__all__ = [
    "Evicted",
    "EvictedLayer",
    "Filters",
    "Garbage",
    "Redo",
    "Repair",
    "evict",
    "evicted",
    "find_garbage",
    "repair",
    "strangers_in",
    "verify",
    "verify_summaries",
]
