"""What nobody reads any more below the root of checked files. Found first, removed when asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.checked_files import kept
from storage.checked_files.keys import parse_data_key
from storage.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from storage.checked_files.walk import Walk
    from storage.place import Entry, Place


@dataclass(frozen=True)
class FileGarbage:
    """What can be removed.

    Attributes
    ----------
    partial
        Unfinished files of writers that are gone.
    uncommitted
        Bytes that no commit names: a writer was killed before it, or another was faster.
    superseded
        Versions of records and publications that newer ones have replaced.
    quarantined
        What repairs took out; removed only when asked.
    """

    place: Place
    partial: tuple[Entry, ...]
    uncommitted: tuple[Entry, ...]
    superseded: tuple[Entry, ...]
    quarantined: tuple[Entry, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of all but the quarantine."""
        return sum(entry.n_bytes for entry in (*self.partial, *self.uncommitted, *self.superseded))

    def remove(self, *, quarantined: bool = False) -> int:
        """Remove it; return the bytes that were removed. Idempotent, and may be cut short anywhere.

        Bytes that were committed meanwhile stay. Were they committed in the very moment between that look and their
        removal, their reader would get `CorruptError` and a repair would free the name: the lease makes that unlikely.

        Raises
        ------
        WriteError, UnreachableError
            The place refused.
        """
        n_bytes = 0
        chosen = (*self.partial, *self.superseded, *(self.quarantined if quarantined else ()))
        for entry in (*chosen, *(entry for entry in self.uncommitted if _is_nobodys(self.place, entry))):
            self.place.remove(entry.key)
            n_bytes += entry.n_bytes
        return n_bytes


def find_garbage(place: Place, walk: Walk, *, older_than_s: float) -> FileGarbage:
    """Return what can be removed; see `CheckedFiles.gc`."""
    limit = time.time() - older_than_s
    old_versions = [entry for of_home in walk.versions.values() for entry in of_home[:-1]]
    return FileGarbage(
        place,
        partial=tuple(entry for entry in walk.partial if entry.modified_s <= limit),
        uncommitted=tuple(
            entry for entry in walk.data if entry.modified_s <= limit and _is_nobodys(place, entry)
        ),
        superseded=tuple(sorted(entry for entry in old_versions if entry.modified_s <= limit)),
        quarantined=tuple(sorted(walk.quarantined)),
    )


def _is_nobodys(place: Place, entry: Entry) -> bool:
    """Return whether a sound commit, or none, leaves these bytes without a name."""
    parsed = parse_data_key(entry.key)
    if parsed is None or place.size(entry.key) is None:
        return False
    try:
        return kept.committed(place, parsed.stem).key != entry.key
    except NotFoundError:
        return True
    except StoreError:
        return False  # damaged: a repair may need these bytes
