"""The activation store: crash-safe, verified, readable by any Zarr v3 library.

A store holds *representations* (the activations of one layer of one model on one split of one data set),
cut into row groups, written once, sealed by a manifest and checked against it on every read.
"""

from storage.checked_files import CheckedFile, CheckedFiles, FileGarbage, FileRepair
from storage.checks import same_but_for_rounding
from storage.codecs import CODECS
from storage.errors import (
    AmbiguousError,
    ArrayNotFoundError,
    ConflictError,
    CorruptError,
    EvictedError,
    FormatError,
    LayoutError,
    NonFiniteError,
    NotFoundError,
    PairingError,
    RangeError,
    ReadOnlyError,
    SampleIdError,
    SchemaError,
    StoreError,
    SymlinkError,
    UnfinishedError,
    UnreachableError,
    WriteError,
)
from storage.evict import Evicted, EvictedLayer
from storage.garbage import Garbage
from storage.layout import RowGroups, part_of, plan_split, rows_of_shard
from storage.opening import open_place, open_store, open_summaries
from storage.pairing import check_pairing
from storage.read import Representation
from storage.repair import Repair, repair
from storage.schema import Address, Encoding, LayerSpec, SealedLayer
from storage.splits import Split
from storage.store import Store
from storage.summaries import WORK, Summaries, Summary
from storage.verify import Problem
from storage.write import Dump

__all__ = [
    "CODECS",
    "WORK",
    "Address",
    "AmbiguousError",
    "ArrayNotFoundError",
    "CheckedFile",
    "CheckedFiles",
    "ConflictError",
    "CorruptError",
    "Dump",
    "Encoding",
    "Evicted",
    "EvictedError",
    "EvictedLayer",
    "FileGarbage",
    "FileRepair",
    "FormatError",
    "Garbage",
    "LayerSpec",
    "LayoutError",
    "NonFiniteError",
    "NotFoundError",
    "PairingError",
    "Problem",
    "RangeError",
    "ReadOnlyError",
    "Repair",
    "Representation",
    "RowGroups",
    "SampleIdError",
    "SchemaError",
    "SealedLayer",
    "Split",
    "Store",
    "StoreError",
    "Summaries",
    "Summary",
    "SymlinkError",
    "UnfinishedError",
    "UnreachableError",
    "WriteError",
    "check_pairing",
    "open_place",
    "open_store",
    "open_summaries",
    "part_of",
    "plan_split",
    "repair",
    "rows_of_shard",
    "same_but_for_rounding",
]
