"""A store on a local path: files created once, durably, by hard links from unfinished ones.

Implements `storage.place.contract.Place`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import CorruptError, NotFoundError, SymlinkError, WriteError
from storage.place import durability
from storage.place.contract import COMMITS, PARTIAL, QUARANTINE, Entry
from storage.place.staging import StagedFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PROBE = b"exclusive creation"
_PREAD_BYTES = 1 << 30


@dataclass(frozen=True)
class LocalPlace:
    """A directory as a write-once key–value store; `root` is a resolved path."""

    root: str
    _durable: set[str] = field(default_factory=set, compare=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Pickle the place only: what another process made durable is its own knowledge."""
        return {"root": self.root, "_durable": set()}

    @property
    def url(self) -> str:
        """The root's path."""
        return self.root

    def path(self, key: str) -> str:
        """Return the path of a key, refusing symbolic links on the way.

        Raises
        ------
        SymlinkError
            The file or a directory above it, inside the root, is a symbolic link.
        """
        path = os.path.join(self.root, *key.split("/")) if key else self.root  # noqa: PTH118
        if _passes_link(path, from_root=len(self.root)):
            raise SymlinkError(file=path, target=os.path.realpath(path))
        return path

    def read(self, key: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        NotFoundError
            There is no such file.
        SymlinkError
            It is reached through a symbolic link.
        """
        with _unreadable(self.path(key)) as path, open(path, "rb", opener=durability.open_unfollowed) as file:
            return file.read()

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return ranges of a file's bytes; see `Place.read_ranges`."""
        with _unreadable(self.path(key)) as path, open(path, "rb", opener=durability.open_unfollowed) as file:
            return [_pread(file.fileno(), start, stop) for start, stop in ranges]

    def stat(self, key: str) -> os.stat_result | None:
        """Return what the file system knows about a regular file, or None where there is none."""
        try:
            result = os.stat(self.path(key), follow_symlinks=False)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        return result if stat.S_ISREG(result.st_mode) else None

    def size(self, key: str) -> int | None:
        """Return a regular file's bytes, or None where there is none."""
        known = self.stat(key)
        return None if known is None else known.st_size

    def version(self, key: str) -> tuple[int, int, int] | None:
        """Return what changes when a file is replaced or touched, or None where there is none."""
        known = self.stat(key)
        return None if known is None else (known.st_ino, known.st_size, known.st_mtime_ns)

    def directories(self, key: str = "") -> list[str]:
        """Return the names of the directories below a key, sorted; none where it does not exist."""
        try:
            with os.scandir(self.path(key)) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if entry.name != COMMITS and (entry.is_symlink() or entry.is_dir(follow_symlinks=False))
                )
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, key: str = "") -> list[Entry]:
        """Return the files directly below a key; see `Place.files`."""
        files = []
        try:
            with os.scandir(self.path(key)) as entries:
                for entry in entries:
                    if entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
                        with suppress(FileNotFoundError):  # removed since
                            known = entry.stat(follow_symlinks=False)
                            name = f"{key}/{entry.name}".removeprefix("/")
                            files.append(Entry(name, known.st_size, known.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(files)

    def entries(self, key: str = "") -> Iterator[Entry]:
        """Yield every file below a key; links are listed, not followed."""
        for directory, below, names in os.walk(self.path(key)):
            below.sort()
            links = [name for name in below if os.path.islink(os.path.join(directory, name))]  # noqa: PTH114, PTH118
            for name in sorted([*names, *links]):
                path = os.path.join(directory, name)  # noqa: PTH118
                try:
                    known = os.lstat(path)
                except FileNotFoundError:
                    continue
                yield Entry(os.path.relpath(path, self.root), known.st_size, known.st_mtime)

    def create(self, key: str, data: bytes) -> bool:
        """Create a file whole and durable, unless the name is taken; return whether this call made it.

        Temporary file, fsync, hard link to the name, fsync of the directory. When it returns, the file under
        that name survives power loss, whoever made it. Two writers: one wins, the other is told.

        Raises
        ------
        WriteError
            The file system refused: full, read-only, forbidden, no hard links.
        SymlinkError
            The name is reached through a symbolic link.
        """
        path = self.path(key)
        if os.path.lexists(path):
            # Somebody's link: make it durable before it is relied on, it may be a moment old.
            with durability.refusals(path, len(data)):
                durability.sync_directory(os.path.dirname(path))  # noqa: PTH120
            return False
        with self.stage(key) as staged:
            staged.write(data)
            return staged.commit()

    def replace(self, key: str, data: bytes) -> None:
        """Give a file these bytes, whatever it held before: temporary file, fsync, rename, fsync of the directory.

        See `Place.replace`.
        """
        with self.stage(key) as staged:
            staged.write(data)
            staged.replace()

    def stage(self, key: str) -> StagedFile:
        """Begin a file that is written in parts; see `Place.stage`."""
        return StagedFile(self.path(key), folder=self.path(PARTIAL), make_directory=self.make_directory)

    def make_durable(self, key: str) -> bool:
        """Flush a file that is there, and its name; see `Place.make_durable`."""
        path = self.path(key)
        with durability.refusals(path, 0):
            try:
                durability.sync_file(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            self.make_directory(os.path.dirname(path))  # noqa: PTH120
            durability.sync_directory(os.path.dirname(path))  # noqa: PTH120
        return True

    def remove(self, key: str) -> None:
        """Remove a file durably, and directories that it leaves empty; nothing where there is none."""
        path = self.path(key)
        with durability.refusals(path, 0):
            try:
                os.unlink(path)  # noqa: PTH108
            except FileNotFoundError:
                return
            with suppress(FileNotFoundError):  # somebody removed the last file beside it, and the directory
                durability.sync_directory(os.path.dirname(path))  # noqa: PTH120
        if not key.startswith(f"{PARTIAL}/"):  # where writers come and go
            self._prune(os.path.dirname(path))  # noqa: PTH120

    def _prune(self, directory: str) -> None:
        """Remove a directory and those above it as long as they are empty: readers of Zarr wonder about such."""
        while directory != self.root:
            try:
                os.rmdir(directory)  # noqa: PTH106
            except OSError:
                return
            directory = os.path.dirname(directory)  # noqa: PTH120

    def quarantine(self, key: str) -> str:
        """Move a file below `QUARANTINE`; return its new key. `NotFoundError` where there is none.

        A link is moved as such; what is reached through one is not moved (`SymlinkError`).
        """
        folder, _, name = key.rpartition("/")
        path = os.path.join(self.path(folder), name)  # noqa: PTH118
        away = f"{QUARANTINE}/{uuid.uuid4().hex[:8]}/{key}"
        target = os.path.join(self.root, *away.split("/"))  # noqa: PTH118
        if not os.path.lexists(path):
            raise _absent(path)
        with durability.refusals(target, 0):
            self.make_directory(os.path.dirname(target))  # noqa: PTH120
            os.rename(path, target)  # noqa: PTH104
            durability.sync_directory(os.path.dirname(target))  # noqa: PTH120
            durability.sync_directory(os.path.dirname(path))  # noqa: PTH120
        return away

    def preflight(self) -> None:
        """Try exclusive creation with a file of a new name, and leave nothing behind; see `Place.preflight`."""
        key = f"{PARTIAL}/preflight-{uuid.uuid4().hex}"
        try:
            with self.stage(key) as first, self.stage(key) as second:
                first.write(_PROBE)
                commits = (first.commit(), second.commit())
            if commits != (True, False) or self.read(key) != _PROBE:
                cause = OSError(errno.ENOTSUP, "files are not created exclusively")
                raise WriteError(path=self.path(key), n_bytes=len(_PROBE), cause=cause)
        finally:
            self.remove(key)

    def free_bytes(self) -> int | None:
        """Return the room that is left for this user, also where the root does not exist yet."""
        existing = self.root
        while not os.path.isdir(existing):  # noqa: PTH112
            existing = os.path.dirname(existing)  # noqa: PTH120
        return shutil.disk_usage(existing).free

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it durable; the first use in a process syncs existing ones too."""
        if path in self._durable and os.path.isdir(path):  # noqa: PTH112
            return
        if path == self.root:
            durability.make_durable(path)
        else:
            parent = os.path.dirname(path)  # noqa: PTH120
            self.make_directory(parent)
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            durability.sync_directory(parent)
        self._durable.add(path)


def _passes_link(path: str, *, from_root: int) -> bool:
    """Return whether a path is not its own, or passes through a symbolic link from its root's end on.

    Asked for every file that is read or written: one look at each directory inside the root, where
    `os.path.realpath` looks at those above it too, and takes ten times as long.
    """
    if os.path.normpath(path) != path:
        return True
    end = from_root
    while True:
        try:
            if stat.S_ISLNK(os.lstat(path[:end]).st_mode):
                return True
        except OSError:
            return False  # and so there is nothing below it
        if end == len(path):
            return False
        following = path.find("/", end + 1)
        end = len(path) if following < 0 else following


def _pread(descriptor: int, start: int, stop: int) -> bytes:
    """Return a range of a file's bytes, short where the file ends before; one call gives at most 2 GiB."""
    pieces = []
    while start < stop:
        piece = os.pread(descriptor, min(stop - start, _PREAD_BYTES), start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


@contextmanager
def _unreadable(path: str) -> Iterator[str]:
    """Turn what the file system says of a file that is read into an error with a remedy; yields `path`."""
    try:
        yield path
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise _absent(path) from error
    except OSError as error:
        raise CorruptError(
            representation="store",
            row_group=None,
            file=path,
            expected="a readable regular file",
            found=f"{error.strerror} (errno {error.errno})",
            remedy="Check the file's permissions and the disk.",
        ) from error


def _absent(path: str) -> NotFoundError:
    """Return the error for a file that is not there."""
    return NotFoundError(
        where=path, expected="a file", found="none", remedy="It was never written, or was removed."
    )
