"""Splits: which samples, in which stored order and row groups, with which labels."""

from storage.splits.arrays import arrays_beside, sample_coordinates
from storage.splits.record import SPLIT, add_split, completed_split, forget_splits, load_split, split_of
from storage.splits.selection import row_positions
from storage.splits.split import Split, planned_split

__all__ = [
    "SPLIT",
    "Split",
    "add_split",
    "arrays_beside",
    "completed_split",
    "forget_splits",
    "load_split",
    "planned_split",
    "row_positions",
    "sample_coordinates",
    "split_of",
]
