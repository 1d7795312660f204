"""Keeping a folder of summaries well that lies outside of a store, whose own maintenance would do it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from storage.place import PARTIAL, encode_name
from storage.problems import Problem, problem_of
from storage.summaries.folder import WORK

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.place import Entry
    from storage.summaries.folder import Summaries


def damaged_summaries(
    summaries: Summaries, on_summary: Callable[[str, int], None] | None = None
) -> list[Problem]:
    """Return what is wrong with the summaries of a folder, but for those of work in progress."""
    return [problem_of(error, label="summary") for _, error in summaries.damaged(range, on_summary)]


def take_out_damaged(summaries: Summaries) -> tuple[list[Problem], list[str]]:
    """Quarantine every damaged summary: it is computed again. Return what was wrong, and the keys they had."""
    damaged = list(summaries.damaged())
    for file, _ in damaged:
        summaries.place.quarantine(file.key)
    return [problem_of(error, label="summary") for _, error in damaged], [file.key for file, _ in damaged]


def leftover_summaries(summaries: Summaries, *, older_than_s: float) -> tuple[Entry, ...]:
    """Return unfinished files and summaries of work in progress that nobody touched for so long."""
    work = f"{summaries.base}/{encode_name(WORK)}".lstrip("/")
    limit = time.time() - older_than_s
    return tuple(
        entry
        for home in (PARTIAL, work)
        for entry in summaries.place.entries(home)
        if entry.modified_s <= limit
    )
