"""Markers that this process read lately: one is parsed once, not once for each of its layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from storage.format import MARKER, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place

MAX_CHUNKS = 1 << 20
"""How many inner chunks the markers that are kept may speak of; each takes about 70 bytes."""


@dataclass(frozen=True)
class RecentMarkers:
    """The shards of markers, kept until those read since speak of more than `max_chunks`.

    Threads may share it: every step on the dictionary is one operation, and what two read at once is the same.
    """

    max_chunks: int = MAX_CHUNKS
    _kept: dict[tuple[Place, str], tuple[int, Mapping[str, Any]]] = field(default_factory=dict)

    def shards(self, place: Place, marker: str) -> Mapping[str, Any]:
        """Return layer → record of its shard as the marker under this key has them, read if it is not kept.

        Raises
        ------
        NotFoundError, CorruptError, FormatError
            See `storage.format.records.read_record`.
        """
        known = self._kept.pop((place, marker), None)
        if known is None:
            shards = read_record(place, marker, kind=MARKER)["shards"]
            known = (sum(len(shard["chunks"]["n_bytes"]) for shard in shards.values()), shards)
        self._kept[place, marker] = known
        excess = sum(n_chunks for n_chunks, _ in list(self._kept.values())) - self.max_chunks
        for key in list(self._kept)[:-1]:
            if excess > 0:
                excess -= self._kept.pop(key, (0, {}))[0]
        return known[1]

    def forget(self, place: Place, marker: str) -> None:
        """Let a marker be read anew: a repair may have made it again."""
        self._kept.pop((place, marker), None)

    def cache_clear(self) -> None:
        """Forget all, as `functools.lru_cache` does."""
        self._kept.clear()


RECENT_MARKERS = RecentMarkers()
"""Those of this process."""
