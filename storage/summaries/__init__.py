"""Summaries: named arrays that were computed from representations, each set in one checked file."""

from storage.summaries.folder import SUMMARIES, WORK, Summaries, Summary

__all__ = [
    "SUMMARIES",
    "WORK",
    "Summaries",
    "Summary",
]
