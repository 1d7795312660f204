"""Writing a dump: checked values become shards, shards a marked row group, row groups a manifest."""

from storage.writing.dump import Dump
from storage.writing.dump_arrays import flag_sealed, group_files, layer_files, sealed_flag
from storage.writing.value_checks import absmax, checked_rows, same_but_for_rounding

__all__ = [
    "Dump",
    "absmax",
    "checked_rows",
    "flag_sealed",
    "group_files",
    "layer_files",
    "same_but_for_rounding",
    "sealed_flag",
]
