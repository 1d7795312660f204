"""Summaries: named arrays that were computed from representations, each set in one checked file."""

from storage.summaries.folder import SUMMARIES, WORK, Summaries, Summary
from storage.summaries.upkeep import damaged_summaries, leftover_summaries, take_out_damaged

__all__ = [
    "SUMMARIES",
    "WORK",
    "Summaries",
    "Summary",
    "damaged_summaries",
    "leftover_summaries",
    "take_out_damaged",
]
