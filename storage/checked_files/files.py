"""The files of a run beside its store: each held against its digest whenever it is read, on a disk or in a bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from storage.checked_files import kept, signs
from storage.checked_files.check import findings, of_version
from storage.checked_files.garbage import FileGarbage, find_garbage
from storage.checked_files.keys import (
    FILES,
    PUBLISHED,
    RECORDS,
    decoded,
    encoded,
    parse_commit_key,
    record_home,
)
from storage.checked_files.published import publish, read_published
from storage.checked_files.repair import FileRepair, repair
from storage.checked_files.sound import demand_sound
from storage.checked_files.versions import Version, Versions, number_of, read_version, versions_of
from storage.checked_files.walk import entries, walk
from storage.errors import LayoutError, NotFoundError
from storage.place import COMMITS, LEASE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from storage.checked_files.kept import CheckedFile
    from storage.place import Place
    from storage.problems import Problem

_AT_ONCE: Final = 32
"""Records that are read side by side: in a bucket each is a request that mostly waits."""


@dataclass(frozen=True)
class CheckedFiles:
    """Files, records and publications below the root of a place; equal, hashable, picklable.

    Three kinds of content have three ways to be written. A *file* is bytes, written once under a name for good, such as
    weights, a map or a part of a table. A *record* is JSON that changes: each change is a new version, and the newest
    counts. A *publication* is a folder of files whose names are for people and which are replaced, such as a report.

    Any number of processes may write and read at once, and any may be killed: a reader sees a file, a version or a
    published file whole or not at all, and never bytes that do not have the digest on record. Names are any text; their
    ``/`` make folders. Other programs open a file under ``place.path(file.key)``.

    Parameters
    ----------
    place
        A directory or bucket, as `storage.open_place` gives it.
    others
        Folders directly below the root that are somebody else's, such as a store: never listed, checked or written.

    Examples
    --------
    >>> from storage import CheckedFiles, open_place
    >>> folder = getfixture("tmp_path")
    >>> files = CheckedFiles(open_place(folder))
    >>> files.write("maps/a-b", ".bin", b"weights").key
    'maps/a-b~9a129038d9a00aed0cf6a7ea059ca50a.bin'
    >>> files.read("maps/a-b")
    b'weights'
    >>> files.put_record("models/a", {"epochs": 3})
    >>> files.record("models/a")
    {'epochs': 3}
    >>> files.publish("report", {"index.html": b"<html>"})
    >>> files.verify()
    []
    """

    place: Place
    others: tuple[str, ...] = ()

    def write(self, name: str, suffix: str, data: bytes) -> CheckedFile:
        """Keep bytes under a name, for good; return the file that has the name.

        Where the name has other bytes already, they stay and are what is returned: compare digests where that matters.
        What should change gets another name each time (``training/net/000012``), and the older one is removed.

        Parameters
        ----------
        suffix
            By which other programs know the format: ``".safetensors"``, ``".parquet"``, ``".json"``.

        Raises
        ------
        LayoutError
            The name is empty or another folder's, or the suffix is none.
        CorruptError
            The name's commit is damaged, or its bytes are gone.
        WriteError, UnreachableError
            The place refused.

        Notes
        -----
        Two creations: the bytes under their digest, then the commit that gives them the name. What a writer killed
        between the two leaves is nobody's; the next writer goes on from there.
        """
        self._demand_ours(name)
        return kept.write(self.place, name, suffix, data)

    def find(self, name: str) -> CheckedFile | None:
        """Return the file that has a name, or None; its bytes are not read. One read of a small record.

        Raises
        ------
        CorruptError
            The commit is damaged.
        """
        return kept.find(self.place, name)

    def read(self, file: str | CheckedFile) -> bytes:
        """Return the bytes of a file, by its name or as it was found or listed, held against its digest.

        Raises
        ------
        NotFoundError
            There is none.
        CorruptError
            It is damaged or gone: names the file, the digest expected and that found.
        """
        known = self.find(file) if isinstance(file, str) else file
        if known is None:
            raise NotFoundError(
                where=self.place.path(encoded(str(file))),
                expected="a file of this name",
                found="none",
                remedy="It was never written, or was removed.",
            )
        return kept.read(self.place, known)

    def demand_sound(self, file: CheckedFile) -> None:
        """Hold a file against its digest, before another program reads it: once in this process.

        It is held against it again where its size, its time of change or its entity tag is another. Errors as `read`.

        Notes
        -----
        Reads the file in pieces of 16 MiB. What a disk alters later under the same time of change is not noticed.
        """
        demand_sound(self.place, file)

    @property
    def are_there(self) -> bool:
        """Whether anything was ever committed here: a file, a record, a published folder. One listing."""
        return bool(self.place.directories(COMMITS))

    def listing(self, folder: str = "") -> list[CheckedFile]:
        """Return the files whose names lie in a folder, at any depth, sorted by name.

        Two listings, of the folder and of its commits, however many files there are. Killed writers can make it open
        single commits.
        """
        home = encoded(folder) if folder else ""
        commits = self.place.entries(f"{FILES}/{home}".rstrip("/"))
        stems = [stem for entry in commits if (stem := parse_commit_key(entry.key)) is not None]
        return kept.listed(self.place, entries(self.place, home, self.others), stems)

    def remove(self, name: str) -> None:
        """Remove a file, such as the state of a training that is over; nothing where there is none."""
        kept.remove(self.place, name)

    def put_record(self, name: str, content: Mapping[str, Any]) -> None:
        """Make JSON the newest version of a record; nothing is written where it is that already.

        Raises
        ------
        SchemaError
            The content is not JSON.
        CorruptError
            The newest version is damaged.
        WriteError, UnreachableError
            The place refused.
        """
        Versions(self.place, "record", name).update(lambda _: content)

    def update_record(
        self, name: str, change: Callable[[Mapping[str, Any] | None], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Make what `change` makes of a record's content (None where there is none) its newest version; return it.

        Safe among writers: where another was faster, `change` is called again with what that one wrote.
        Errors as `put_record`.
        """
        return Versions(self.place, "record", name).update(change).content

    def record(self, name: str) -> Mapping[str, Any] | None:
        """Return the newest content of a record, or None where there is none. One listing, two reads.

        Raises
        ------
        CorruptError
            It is damaged.
        """
        newest = Versions(self.place, "record", name).newest()
        return None if newest is None else newest.content

    def records(self, folder: str = "") -> dict[str, Mapping[str, Any]]:
        """Return all records whose names lie in a folder, at any depth. One listing, one read for each, side by side.

        Raises
        ------
        CorruptError
            One is damaged.
        """
        home = f"{RECORDS}/{encoded(folder)}" if folder else RECORDS
        keys = [of_record[-1].key for of_record in versions_of(self.place.entries(home)).values()]
        with ThreadPoolExecutor(_AT_ONCE) as readers:
            newest = list(readers.map(self._version_there, keys))
        return dict(sorted((version.name, version.content) for version in newest if version is not None))

    def records_of(self, names: Iterable[str], folder: str = "") -> dict[str, Mapping[str, Any]]:
        """Return those of some records of one folder that are there, by name.

        One listing of the folder, two reads for each record, side by side: other records of the folder are not read.
        Errors as `records`.
        """
        home = f"{RECORDS}/{encoded(folder)}" if folder else RECORDS
        there = versions_of(self.place.entries(home))

        def newest_of(name: str) -> Version | None:
            listed = there.get(record_home(name), [])
            newer = Versions(self.place, "record", name).after(number_of(listed[-1]) if listed else -1)
            return newer if newer is not None or not listed else self._version_there(listed[-1].key)

        with ThreadPoolExecutor(_AT_ONCE) as readers:
            newest = list(readers.map(newest_of, dict.fromkeys(names)))
        return dict(sorted((version.name, version.content) for version in newest if version is not None))

    def record_names(self, folder: str = "") -> list[str]:
        """Return the names of all records in a folder, at any depth, sorted. One listing; a read where one is long."""
        home = f"{RECORDS}/{encoded(folder)}" if folder else RECORDS
        names = []
        for of_record, versions in versions_of(self.place.entries(home)).items():
            name = decoded(of_record.removeprefix(f"{RECORDS}/"))
            if name is None:  # too long for a key, which then holds a digest of it
                version = self._version_there(versions[-1].key)
                name = None if version is None else version.name
            names += [] if name is None else [name]
        return sorted(names)

    def _version_there(self, key: str) -> Version | None:
        """Return a version that a listing showed, or None where it went meanwhile, because a newer one came."""
        try:
            return read_version(self.place, key)
        except NotFoundError:
            return None

    def damaged_records(self) -> list[Problem]:
        """Return what is wrong with records and publications, all versions: the quick part of `verify`.

        Notes
        -----
        One listing, and one read for each version, side by side.
        """
        entries = [*self.place.entries(RECORDS), *self.place.entries(PUBLISHED)]
        homes = versions_of(entries).values()
        each = [entry for of_home in homes for entry in of_home]
        with ThreadPoolExecutor(_AT_ONCE) as readers:
            found = readers.map(lambda entry: of_version(self.place, entry), each)
            return [finding.problem for of_entry in found for finding in of_entry]

    def remove_record(self, name: str) -> None:
        """Remove all versions of a record; nothing where there is none."""
        Versions(self.place, "record", name).remove()

    def give_sign(self, name: str, saying: Mapping[str, Any] | None = None) -> None:
        """Say that what is called `name` lives, and what else is to be said; see `storage.checked_files.signs`.

        Errors as `write`.
        """
        signs.give(self.place, name, saying)

    def said(self, name: str) -> Mapping[str, Any]:
        """Return what the last sign of life said; nothing where there is none. Errors as `read`."""
        return signs.said(self.place, name)

    def stop_sign(self, name: str) -> None:
        """Say no more that what is called `name` lives; nothing where it never did."""
        signs.stop(self.place, name)

    def signs(self) -> dict[str, float]:
        """Return when each sign of life was given last, in seconds by the clock of the place. One listing."""
        return signs.times(self.place)

    def publish(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Put files under names that people know, over what lies there; their digests go on record.

        Wherever it is cut short, what lies there is on record, and publishing again completes it. Files that were
        published in the folder before and are not among these stay.

        Parameters
        ----------
        folder
            Such as ``"report"``; ``""`` is the root.
        files
            Name in the folder → bytes. Names are letters, digits and ``._-``, with ``/`` between segments.

        Raises
        ------
        LayoutError
            A name is not plain, or another folder's.
        WriteError, UnreachableError
            The place refused.
        """
        for name in files:
            self._demand_ours(folder or name)
        publish(self.place, folder, files)

    def read_published(self, folder: str, name: str) -> bytes:
        """Return the bytes of a published file, held against the digest on record.

        Raises
        ------
        NotFoundError
            It was not published there, or is gone.
        CorruptError
            It is damaged, or somebody edited it.
        """
        return read_published(self.place, folder, name)

    def verify(self, *, on_file: Callable[[str, int], None] | None = None) -> list[Problem]:
        """Return everything that is not as it was written: every byte is read and held against its digest.

        Files that nothing vouches for are problems too; hidden files, unfinished ones and the quarantine are not.

        Parameters
        ----------
        on_file
            Called with (key, bytes) after each file.
        """
        return [finding.problem for finding in findings(self.place, walk(self.place, self.others), on_file)]

    def repair(self, *, on_file: Callable[[str, int], None] | None = None) -> FileRepair:
        """Take out what is damaged, so that the next run makes it again. No writer may be at work.

        Raises
        ------
        WriteError, UnreachableError
            The place refused.
        """
        return repair(self.place, walk(self.place, self.others), on_file)

    def gc(self, *, older_than_s: float = LEASE_S) -> FileGarbage:
        """Return what can be removed; `FileGarbage.remove` does it.

        Parameters
        ----------
        older_than_s
            Younger files may have a living writer or reader: they are left out.
        """
        return find_garbage(self.place, walk(self.place, self.others), older_than_s=older_than_s)

    def _demand_ours(self, name: str) -> None:
        """Refuse a name in a folder that is somebody else's."""
        folder = name.partition("/")[0]
        if folder in self.others:
            raise LayoutError(
                where=self.place.path(folder),
                expected="a name outside of this folder",
                found=repr(name),
                remedy="Choose another name: the folder is not these files'.",
            )
