"""Repairing summaries: damaged ones are taken out, since they follow from representations and are computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import CorruptError
from storage.problems import problem_of
from storage.summaries import SUMMARIES, Summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.maintenance.repairing.mending import Mending


def repair_summaries(mending: Mending, on_summary: Callable[[str, int], None] | None) -> tuple[str, ...]:
    """Quarantine every damaged summary that is kept; return the keys they had.

    Raises
    ------
    FormatError, UnreachableError
        One was written by a newer version, or cannot be read.
    """
    removed = []
    for file, error in Summaries(mending.place, SUMMARIES).damaged(range, on_summary):
        if not isinstance(error, CorruptError):
            raise error
        mending.take_out(file.key, problem_of(error, label="summary"))
        removed.append(file.key)
    return tuple(removed)
