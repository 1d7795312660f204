"""What a run was found to hold when it was last complete: so that a file which somebody removed is missed.

Nothing else tells a commit or record that was removed from one that was never written. The inventory is itself a
record. It names commits and records, and of records their newest version: an older one must not come back as the
present. It never counts against a file that is there without being named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from storage.checked_files.keys import (
    FILES,
    PUBLISHED,
    RECORDS,
    commit_key,
    encoded,
    parse_commit_key,
    record_home,
    version_key,
)
from storage.checked_files.versions import Versions, number_of, versions_of
from storage.errors import CorruptError
from storage.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from storage.place import Entry, Place

RECORD: Final = "inventory"
_REMEDY: Final = "Repair: it is taken off the inventory, and the next run makes it again."


@dataclass(frozen=True)
class Inventory:
    """The inventory of the checked files of a place.

    Parameters
    ----------
    place
        Where they lie.
    passing
        Folders of names that are removed in the course of things, such as the states of trainings: they are left out.
    """

    place: Place
    passing: tuple[str, ...] = ()

    @property
    def is_taken(self) -> bool:
        """Whether there is one, sound or not. One listing, one read."""
        try:
            return bool(self._content().get("taken"))
        except CorruptError:
            return True

    def take(self, leftover: Callable[[], Collection[str]]) -> None:
        """Put what is there on record. What was on record and is gone stays, unless it is a leftover by now.

        Parameters
        ----------
        leftover
            Returns the names of files that are nobody's any more, and may go at any time. Called again where another
            process changed the inventory meanwhile.

        Notes
        -----
        Three listings, however many files there are.
        """
        self._update(lambda before: self._taken(before, {encoded(name) for name in leftover()}))

    def exchange(self, removed: Collection[str], made: Collection[str] = ()) -> None:
        """Take files off that were removed on purpose, behind their removal, and put those on that hold them now.

        It writes a version in any case: an inventory that somebody took of a listing from before the removal is thereby
        out of date, and is taken again.
        """
        gone, new = {encoded(name) for name in removed}, {encoded(name) for name in made}
        self._update(
            lambda before: {
                **before,
                "files": sorted({*before.get("files", ()), *new} - gone),
                "exchanges": before.get("exchanges", 0) + 1,
            }
        )

    def settle(self) -> None:
        """Take everything off that is gone: a repair has told of it."""
        if self._content():
            self._update(self._settled)

    def covers(self, entries: Iterable[Entry], leftover: Callable[[], Collection[str]]) -> bool:
        """Return whether it names all commits and newest versions of a listing of the place. `leftover`: see `take`.

        The listing that it was taken of may have lagged behind.
        """
        content, (files, versions) = self._content(), _committed(entries)
        passing, homes = self._passing()
        unnamed = {
            stem for stem in files.difference(content.get("files", ())) if not stem.startswith(passing)
        }
        if unnamed:
            unnamed -= {encoded(name) for name in leftover()}
        known = content.get("versions", {})
        older = [home for home, number in versions.items() if known.get(home, -1) < number]
        return not unnamed and all(f"{home}/".startswith(homes) for home in older)

    def problems(self, leftover: Collection[str]) -> list[Problem]:
        """Return what is on record and gone. `leftover`: see `take`."""
        content, (files, versions) = self._content(), self._there()
        excused = {encoded(name) for name in leftover}
        gone = [
            commit_key(stem) for stem in content.get("files", ()) if stem not in files and stem not in excused
        ]
        gone += [
            version_key(home, number)
            for home, number in content.get("versions", {}).items()
            if versions.get(home, -1) < number
        ]
        return [self._gone(key) for key in sorted(gone)]

    def _gone(self, key: str) -> Problem:
        where = self.place.path(key)
        return Problem("file", None, where, "a file that the run's inventory names", "no such file", _REMEDY)

    def _content(self) -> Mapping[str, Any]:
        newest = Versions(self.place, "record", RECORD).newest()
        return {} if newest is None else newest.content

    def _update(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        Versions(self.place, "record", RECORD).update(lambda before: change(before or {}))

    def _there(self) -> tuple[set[str], dict[str, int]]:
        """Return the encoded names that are committed, and the newest version by the folder of versions."""
        return _committed(entry for home in (FILES, RECORDS, PUBLISHED) for entry in self.place.entries(home))

    def _passing(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return how encoded names begin that are left out, and folders of versions."""
        homes = tuple(f"{record_home(folder)}/" for folder in (*self.passing, RECORD))
        return tuple(f"{encoded(folder)}/" for folder in self.passing), homes

    def _taken(self, before: Mapping[str, Any], leftover: set[str]) -> dict[str, Any]:
        files, versions = self._there()
        passing, homes = self._passing()
        kept = {stem for stem in files | {*before.get("files", ())} if not stem.startswith(passing)}
        known = {
            home: max(number, before.get("versions", {}).get(home, 0))
            for home, number in {**before.get("versions", {}), **versions}.items()
            if not f"{home}/".startswith(homes)
        }
        return {**before, "files": sorted(kept - leftover), "versions": known, "taken": True}

    def _settled(self, before: Mapping[str, Any]) -> dict[str, Any]:
        files, versions = self._there()
        there = {home: min(n, versions[home]) for home, n in before["versions"].items() if home in versions}
        return {**before, "files": sorted(files.intersection(before["files"])), "versions": there}


def _committed(entries: Iterable[Entry]) -> tuple[set[str], dict[str, int]]:
    """Return the encoded names whose commits are in a listing, and the newest version by the folder of versions."""
    entries = list(entries)
    stems = {parse_commit_key(entry.key) for entry in entries} - {None}
    versions = [entry for entry in entries if entry.key.startswith((f"{RECORDS}/", f"{PUBLISHED}/"))]
    # The number of the newest version counts up from 0 whatever was removed of the older ones.
    newest = {home: number_of(of_home[-1]) for home, of_home in versions_of(versions).items()}
    return {stem for stem in stems if stem is not None}, newest
