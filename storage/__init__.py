"""The activation store: crash-safe, verified, readable by any Zarr v3 library.

A store holds *representations* (the activations of one layer of one model on one split of one data set),
cut into row groups, written once, sealed by a manifest and checked against it on every read.

Others import this face alone. What a name needs is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.batches import RowGroupReader, shuffled_batches
    from storage.checked_files import CheckedFile, CheckedFiles, FileGarbage, FileRepair
    from storage.checks import absmax, checked_rows, same_but_for_rounding
    from storage.codecs import CODECS
    from storage.digests import digest_of, plain
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
    from storage.layout import RowGroups, chunk_rows, part_of, plan_split, rows_of_shard
    from storage.maintenance.repairing import Redo, Repair, repair
    from storage.names import encode_name
    from storage.opening import open_place, open_store, open_summaries
    from storage.pairing import check_pairing
    from storage.place import Entry, Place
    from storage.read import Representation
    from storage.schema import JSON, Address, DumpIdentity, Encoding, LayerSpec, SealedLayer
    from storage.splits import Split
    from storage.store import Store
    from storage.summaries import WORK, Summaries, Summary
    from storage.verify import Problem
    from storage.write import Dump

__all__ = [
    "CODECS",
    "JSON",
    "WORK",
    "Address",
    "AmbiguousError",
    "ArrayNotFoundError",
    "CheckedFile",
    "CheckedFiles",
    "ConflictError",
    "CorruptError",
    "Dump",
    "DumpIdentity",
    "Encoding",
    "Entry",
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
    "Place",
    "Problem",
    "RangeError",
    "ReadOnlyError",
    "Redo",
    "Repair",
    "Representation",
    "RowGroupReader",
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
    "absmax",
    "check_pairing",
    "checked_rows",
    "chunk_rows",
    "digest_of",
    "encode_name",
    "open_place",
    "open_store",
    "open_summaries",
    "part_of",
    "plain",
    "plan_split",
    "repair",
    "rows_of_shard",
    "same_but_for_rounding",
    "shuffled_batches",
]

_HOMES = {
    "CODECS": "storage.codecs",
    "JSON": "storage.schema",
    "WORK": "storage.summaries",
    "Address": "storage.schema",
    "AmbiguousError": "storage.errors",
    "ArrayNotFoundError": "storage.errors",
    "CheckedFile": "storage.checked_files",
    "CheckedFiles": "storage.checked_files",
    "ConflictError": "storage.errors",
    "CorruptError": "storage.errors",
    "Dump": "storage.write",
    "DumpIdentity": "storage.schema",
    "Encoding": "storage.schema",
    "Entry": "storage.place",
    "Evicted": "storage.evict",
    "EvictedError": "storage.errors",
    "EvictedLayer": "storage.evict",
    "FileGarbage": "storage.checked_files",
    "FileRepair": "storage.checked_files",
    "FormatError": "storage.errors",
    "Garbage": "storage.garbage",
    "LayerSpec": "storage.schema",
    "LayoutError": "storage.errors",
    "NonFiniteError": "storage.errors",
    "NotFoundError": "storage.errors",
    "PairingError": "storage.errors",
    "Place": "storage.place",
    "Problem": "storage.verify",
    "RangeError": "storage.errors",
    "ReadOnlyError": "storage.errors",
    "Redo": "storage.maintenance.repairing",
    "Repair": "storage.maintenance.repairing",
    "Representation": "storage.read",
    "RowGroupReader": "storage.batches",
    "RowGroups": "storage.layout",
    "SampleIdError": "storage.errors",
    "SchemaError": "storage.errors",
    "SealedLayer": "storage.schema",
    "Split": "storage.splits",
    "Store": "storage.store",
    "StoreError": "storage.errors",
    "Summaries": "storage.summaries",
    "Summary": "storage.summaries",
    "SymlinkError": "storage.errors",
    "UnfinishedError": "storage.errors",
    "UnreachableError": "storage.errors",
    "WriteError": "storage.errors",
    "absmax": "storage.checks",
    "check_pairing": "storage.pairing",
    "checked_rows": "storage.checks",
    "chunk_rows": "storage.layout",
    "digest_of": "storage.digests",
    "encode_name": "storage.names",
    "open_place": "storage.opening",
    "open_store": "storage.opening",
    "open_summaries": "storage.opening",
    "part_of": "storage.layout",
    "plain": "storage.digests",
    "plan_split": "storage.layout",
    "repair": "storage.maintenance.repairing",
    "rows_of_shard": "storage.layout",
    "same_but_for_rounding": "storage.checks",
    "shuffled_batches": "storage.batches",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'storage' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
