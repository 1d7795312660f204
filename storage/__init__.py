"""The activation store: crash-safe, verified, readable by any Zarr v3 library.

A store holds *representations* (the activations of one layer of one model on one split of one data set),
cut into row groups, written once, sealed by a manifest and checked against it on every read.

Others import this face alone. What a name needs is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.checked_files import CheckedFile, CheckedFiles, FileGarbage, FileRepair
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
    from storage.format import (
        CODECS,
        JSON,
        Address,
        DumpIdentity,
        Encoding,
        LayerSpec,
        RowGroups,
        SealedLayer,
        chunk_rows,
        digest_of,
        part_of,
        plain,
        plan_split,
        rows_of_shard,
    )
    from storage.maintenance import Evicted, EvictedLayer, Garbage, Redo, Repair, repair
    from storage.opening import open_store, open_summaries
    from storage.place import Entry, Place, decode_name, encode_name, open_place
    from storage.problems import Problem
    from storage.reading import Representation, RowGroupReader, check_pairing, shuffled_batches
    from storage.splits import Split
    from storage.store import Store
    from storage.summaries import WORK, Summaries, Summary
    from storage.writing import Dump, absmax, checked_rows, same_but_for_rounding

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
    "decode_name",
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
    "CODECS": "storage.format",
    "JSON": "storage.format",
    "WORK": "storage.summaries",
    "Address": "storage.format",
    "AmbiguousError": "storage.errors",
    "ArrayNotFoundError": "storage.errors",
    "CheckedFile": "storage.checked_files",
    "CheckedFiles": "storage.checked_files",
    "ConflictError": "storage.errors",
    "CorruptError": "storage.errors",
    "Dump": "storage.writing",
    "DumpIdentity": "storage.format",
    "Encoding": "storage.format",
    "Entry": "storage.place",
    "Evicted": "storage.maintenance",
    "EvictedError": "storage.errors",
    "EvictedLayer": "storage.maintenance",
    "FileGarbage": "storage.checked_files",
    "FileRepair": "storage.checked_files",
    "FormatError": "storage.errors",
    "Garbage": "storage.maintenance",
    "LayerSpec": "storage.format",
    "LayoutError": "storage.errors",
    "NonFiniteError": "storage.errors",
    "NotFoundError": "storage.errors",
    "PairingError": "storage.errors",
    "Place": "storage.place",
    "Problem": "storage.problems",
    "RangeError": "storage.errors",
    "ReadOnlyError": "storage.errors",
    "Redo": "storage.maintenance",
    "Repair": "storage.maintenance",
    "Representation": "storage.reading",
    "RowGroupReader": "storage.reading",
    "RowGroups": "storage.format",
    "SampleIdError": "storage.errors",
    "SchemaError": "storage.errors",
    "SealedLayer": "storage.format",
    "Split": "storage.splits",
    "Store": "storage.store",
    "StoreError": "storage.errors",
    "Summaries": "storage.summaries",
    "Summary": "storage.summaries",
    "SymlinkError": "storage.errors",
    "UnfinishedError": "storage.errors",
    "UnreachableError": "storage.errors",
    "WriteError": "storage.errors",
    "absmax": "storage.writing",
    "check_pairing": "storage.reading",
    "checked_rows": "storage.writing",
    "chunk_rows": "storage.format",
    "decode_name": "storage.place",
    "digest_of": "storage.format",
    "encode_name": "storage.place",
    "open_place": "storage.place",
    "open_store": "storage.opening",
    "open_summaries": "storage.opening",
    "part_of": "storage.format",
    "plain": "storage.format",
    "plan_split": "storage.format",
    "repair": "storage.maintenance",
    "rows_of_shard": "storage.format",
    "same_but_for_rounding": "storage.writing",
    "shuffled_batches": "storage.reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'storage' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
