"""What a repair does to a store, one file at a time: take it out, put it back, and remember both."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import CorruptError, NotFoundError, WriteError
from storage.format import digest_of_bytes
from storage.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.format import FileRecord
    from storage.place import Place


@dataclass(frozen=True)
class Quarantined:
    """A file that was taken out, and where it lies now (a key)."""

    key: str
    moved_to: str


@dataclass
class Mending:
    """A store under repair. Every change is durable before the next one.

    Attributes
    ----------
    problems
        What was wrong.
    quarantined
        What was taken out.
    restored
        Keys that were made again.
    left
        What cannot be repaired here.
    """

    place: Place
    problems: list[Problem] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)

    def take_out(self, key: str, problem: Problem) -> None:
        """Quarantine a file, or the link through which it is reached, and note the problem; it may be missing."""
        self.problems.append(problem)
        link = self._link_above(key)
        try:
            moved_to = self.place.quarantine(key if link is None else link)
        except NotFoundError:
            return
        except WriteError as error:
            if error.errno != errno.ENOENT:
                raise
            return
        self.quarantined.append(Quarantined(key if link is None else link, moved_to))

    def put_back(self, key: str, data: bytes) -> None:
        """Create a file that follows from sound records."""
        if self.place.create(key, data):
            self.restored.append(key)

    def settle(self, base: str, record: FileRecord, made: Mapping[str, bytes], *, label: str) -> bool:
        """Hold a file against its record and restore it where it differs; return whether it is as recorded.

        `made` are the bytes that this version gives to files below `base`; where even these are others than those
        recorded, they are put in place and the record must be made again.
        """
        key = f"{base}/{record.key}".lstrip("/")
        problem = self._difference(key, record, label)
        if problem is None:
            return True
        self.take_out(key, problem)
        data = made.get(record.key)
        if data is None:
            self.left.append(problem)
            return True
        self.put_back(key, data)
        return digest_of_bytes(data) == record.sha256

    def settle_all(
        self, base: str, records: Iterable[FileRecord], made: Mapping[str, bytes], *, label: str
    ) -> bool:
        """Settle every file; return whether all are as recorded."""
        settled = [self.settle(base, record, made, label=label) for record in records]
        return all(settled)

    def demand(self, key: str, data: bytes, *, label: str) -> None:
        """Take out a file that is there and holds other bytes than `data`; put those in place."""
        try:
            if self.place.read(key) == data:
                return
        except NotFoundError:
            pass
        except CorruptError as error:
            self.take_out(key, problem_of(error, label=label))
        else:
            problem = Problem(label, None, self.place.path(key), f"{len(data)} bytes", "other bytes", "")
            self.take_out(key, problem)
        self.put_back(key, data)

    def _difference(self, key: str, record: FileRecord, label: str) -> Problem | None:
        """Return what is wrong with a file."""
        try:
            data = self.place.read(key)
        except (CorruptError, NotFoundError) as error:
            return problem_of(error, label=label)
        digest = digest_of_bytes(data)
        if digest == record.sha256:
            return None
        expected = f"{record.n_bytes} bytes, SHA-256 {record.sha256[:16]}…"
        found = f"{len(data)} bytes, {digest[:16]}…"
        return Problem(label, None, self.place.path(key), expected, found, "")

    def _link_above(self, key: str) -> str | None:
        """Return the key of a link, or of a file in a directory's place, through which `key` would be reached."""
        try:
            self.place.path(key)
        except CorruptError:  # a link
            pass
        else:
            parents = ["/".join(key.split("/")[:n]) for n in range(1, key.count("/") + 1)]
            if all(self.place.size(parent) is None for parent in parents):
                return None
        for entry in self.place.entries():
            if key.startswith(f"{entry.key}/") or key == entry.key:
                return entry.key
        return None
