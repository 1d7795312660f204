"""What changes, as numbered versions of which the highest counts; each is created once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from storage.checked_files.keys import RECORDS, parse_version_key, published_home, record_home, version_key
from storage.errors import CorruptError, NotFoundError, WriteError
from storage.format import content_of, create_record, plain
from storage.place import asked_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from storage.place import Entry, Place

Kind = Literal["record", "publication"]

_ATTEMPTS = 100


@dataclass(frozen=True)
class Version:
    """One version of what is called `name`: its number, counted from 0, and what it says."""

    name: str
    number: int
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Versions:
    """All versions of the record, or of the publication, that is called `name`."""

    place: Place
    kind: Kind
    name: str

    @property
    def home(self) -> str:
        """The key of the folder in which they lie."""
        return record_home(self.name) if self.kind == "record" else published_home(self.name)

    def entries(self) -> list[Entry]:
        """Return the files of the versions, oldest first. One listing."""
        return versions_of(self.place.files(self.home)).get(self.home, [])

    def newest(self) -> Version | None:
        """Return the newest version, or None where there is none. One listing, two reads.

        Raises
        ------
        CorruptError
            It is damaged.
        """
        for _ in range(_ATTEMPTS):
            entries = self.entries()
            listed = number_of(entries[-1]) if entries else -1
            newer = self.after(listed)
            if newer is not None or not entries:
                return newer
            try:
                return read_version(self.place, entries[-1].key)
            except NotFoundError:
                continue  # removed since, because a newer one came
        raise self._restless()

    def after(self, number: int) -> Version | None:
        """Return the newest of the versions that follow this number without a gap, or None; errors as `newest`.

        A listing may lag behind what was created, and then shows an older version, or none. What is asked for by its
        key is there as soon as it was created.
        """
        newest: Version | None = None
        while True:
            number += 1
            try:
                newest = read_version(self.place, version_key(self.home, number))
            except NotFoundError:
                return newest

    def update(self, change: Callable[[Mapping[str, Any] | None], Mapping[str, Any]]) -> Version:
        """Make a version of what `change` makes of the newest content (or of None).

        Nothing is lost between writers: one that finds another was faster reads again, and changes that. Where nothing
        changes, nothing is written.

        Raises
        ------
        SchemaError
            The content is not JSON.
        CorruptError
            The newest version is damaged.
        WriteError, UnreachableError
            The place refused, or others were faster a hundred times.
        """
        for _ in range(_ATTEMPTS):
            newest = self.newest()
            before = None if newest is None else newest.content
            after = plain(dict(change(before)), where=f"{self.kind} {self.name!r}")
            if newest is not None and after == before:
                # It may be another writer's, a moment old: it must be sure to stay before it is relied on.
                if self.place.make_durable(version_key(self.home, newest.number)):
                    return newest
                continue
            wanted = Version(self.name, 0 if newest is None else newest.number + 1, after)
            if self.create(wanted):
                return wanted
        raise self._restless()

    def create(self, version: Version) -> bool:
        """Create a version durably unless there is one of its number; return whether this call made it."""
        about = {"name": self.name, "number": version.number, "content": version.content}
        key = version_key(self.home, version.number)
        return create_record(self.place, key, kind=self.kind, content=about)

    def remove(self) -> None:
        """Remove all versions, oldest first: where this is cut short the newest is what stays."""
        for entry in self.entries():
            self.place.remove(entry.key)

    def _restless(self) -> WriteError:
        """Return the error for what others change all the time."""
        return WriteError(
            path=self.place.path(self.home),
            n_bytes=0,
            cause=f"others who changed it {_ATTEMPTS} times meanwhile",
            remedy="Run again when fewer work on the same record.",
        )


def versions_of(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return the versions among some files, oldest first, by the folder in which they lie."""
    numbered: dict[str, list[tuple[int, Entry]]] = {}
    for entry in entries:
        parsed = parse_version_key(entry.key)
        if parsed is not None:
            numbered.setdefault(parsed[0], []).append((parsed[1], entry))
    return {home: [entry for _, entry in sorted(of_home)] for home, of_home in numbered.items()}


def number_of(entry: Entry) -> int:
    """Return the number of a version by its file."""
    return (parse_version_key(entry.key) or ("", -1))[1]


def read_version(place: Place, key: str) -> Version:
    """Return the version under a key, found to be whole and to belong there.

    Raises
    ------
    NotFoundError
        It is not there.
    CorruptError
        It is damaged, or belongs elsewhere.
    """
    home, number = parse_version_key(key) or ("", -1)
    kind: Kind = "record" if f"{home}/".startswith(f"{RECORDS}/") else "publication"
    path = place.path(key)
    said = asked_again(lambda: content_of(place.read(key), path, kind))
    version = Version(said["name"], said["number"], said["content"])
    if (Versions(place, kind, version.name).home, version.number) != (home, number):
        raise CorruptError(
            representation=f"{kind} {version.name!r}",
            row_group=None,
            file=path,
            expected="the version of this name and number",
            found=f"version {version.number} of {version.name!r}",
            remedy="Repair: it is taken out, and the next run makes it again.",
        )
    return version
