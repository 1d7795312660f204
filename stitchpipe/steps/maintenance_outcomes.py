"""What a check, a repair and a look for leftovers came to: of a store, and of the files of a run beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage import Entry, FileGarbage, FileRepair, Garbage, Problem, Redo, Repair, Summaries


@dataclass(frozen=True)
class Verdict:
    """What a check found; `shards`, `summaries`, `files` and `n_bytes` are what it went through.

    `misses_nothing` is False of a run whose inventory was never taken, which its report does: there a record or commit
    that somebody removed looks like one that was never written.
    """

    problems: tuple[Problem, ...]
    representations: int
    shards: int
    summaries: int
    files: int
    n_bytes: int
    misses_nothing: bool = True


@dataclass(frozen=True)
class Mended:
    """What a repair did: to the store, where there is one, and to the files beside it, where a run is there."""

    store: Repair | None
    files: FileRepair | None

    @property
    def redo(self) -> tuple[Redo, ...]:
        """Layers that must be dumped again."""
        return () if self.store is None else tuple(self.store.redo)

    @property
    def problems(self) -> list[Problem]:
        """Everything that was wrong."""
        return [problem for part in self._parts for problem in part.problems]

    @property
    def left(self) -> list[Problem]:
        """What only people can decide."""
        return [problem for part in self._parts for problem in part.left]

    @property
    def n_quarantined(self) -> int:
        """How many files were taken out."""
        return sum(len(part.quarantined) for part in self._parts)

    @property
    def n_restored(self) -> int:
        """How many files were made again."""
        return sum(len(part.restored) for part in self._parts)

    @property
    def summaries(self) -> list[str]:
        """Keys of damaged summaries that were removed."""
        return [] if self.store is None else list(self.store.summaries)

    @property
    def _parts(self) -> list[Repair | FileRepair]:
        return [part for part in (self.store, self.files) if part is not None]


@dataclass(frozen=True)
class Leftovers:
    """What can be removed: of the store, of the files beside it, and of summaries there."""

    store: Garbage | None
    files: FileGarbage | None
    summaries: tuple[Entry, ...] = ()
    summaries_at: Summaries | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of all but the quarantine."""
        return sum(part.n_bytes for part in self._parts) + self._summary_bytes

    def remove(self, *, quarantined: bool) -> int:
        """Remove it; return the bytes that were removed."""
        n_bytes = sum(part.remove(quarantined=quarantined) for part in self._parts)
        if self.summaries_at is not None:
            for entry in self.summaries:
                self.summaries_at.place.remove(entry.key)
        return n_bytes + self._summary_bytes

    @property
    def _summary_bytes(self) -> int:
        return sum(entry.n_bytes for entry in self.summaries)

    @property
    def _parts(self) -> list[Garbage | FileGarbage]:
        return [part for part in (self.store, self.files) if part is not None]
