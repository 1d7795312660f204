"""Files of a store on a local path: created once, durably, and never overwritten or deleted.

This is the whole of what the store asks of a place: read a key, create a key exclusively, list below a key.
"""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.errors import CorruptError, NotFoundError, SymlinkError, WriteError
from storage.layout import COMMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = f"{COMMITS}/partial"
"""Where unfinished files lie, out of sight of every reader, until they are linked to their name."""


@dataclass(frozen=True)
class Files:
    """A directory as a write-once key–value store.

    `root` is a resolved path. Keys are relative, ``/``-separated, built from encoded names only.
    """

    root: str
    _durable: set[str] = field(default_factory=set, compare=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Pickle the place only: what another process made durable is its own knowledge."""
        return {"root": self.root, "_durable": set()}

    def path(self, key: str) -> str:
        """Return the path of a key, refusing symbolic links on the way.

        Raises
        ------
        SymlinkError
            The file or a directory above it, inside the root, is a symbolic link.
        """
        path = os.path.join(self.root, *key.split("/")) if key else self.root  # noqa: PTH118
        if os.path.realpath(path) != path:
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
        path = self.path(key)
        try:
            with open(path, "rb", opener=_open_unfollowed) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(
                where=path, expected="a file", found="none", remedy="It was never written, or was removed."
            ) from error
        except OSError as error:
            raise CorruptError(
                representation="store",
                row_group=None,
                file=path,
                expected="a readable regular file",
                found=f"{error.strerror} (errno {error.errno})",
                remedy="Check the file's permissions and the disk.",
            ) from error

    def stat(self, key: str) -> os.stat_result | None:
        """Return what the file system knows about a regular file, or None where there is none."""
        try:
            result = os.stat(self.path(key), follow_symlinks=False)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        return result if stat.S_ISREG(result.st_mode) else None

    def version(self, key: str) -> tuple[int, int, int] | None:
        """Return what changes when a file is replaced or touched, or None where there is none."""
        found = self.stat(key)
        return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)

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
        directory = os.path.dirname(path)  # noqa: PTH120
        with _refusals(path, len(data)):
            self._make_directory(directory)
            made = False
            if not os.path.lexists(path):
                made = self._link_new(path, data)
            _sync_directory(directory)
        return made

    def _link_new(self, path: str, data: bytes) -> bool:
        """Write a temporary file and link it to `path`; return False where somebody was first."""
        partial = self.path(PARTIAL)
        self._make_directory(partial)
        temporary = os.path.join(partial, uuid.uuid4().hex)  # noqa: PTH118
        try:
            _write_synced(temporary, data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            return True
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)  # noqa: PTH108

    def _make_directory(self, path: str) -> None:
        """Make a directory and those above it durable; the first use in a process syncs existing ones too."""
        if path in self._durable and os.path.isdir(path):  # noqa: PTH112
            return
        parent = os.path.dirname(path)  # noqa: PTH120
        if path != self.root:
            self._make_directory(parent)
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            _sync_directory(parent)
        self._durable.add(path)


def _open_unfollowed(path: str, flags: int) -> int:
    """Open for reading, but neither a symbolic link nor, for ever, a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _write_synced(path: str, data: bytes) -> None:
    """Write a new file and wait until its bytes are on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: str) -> None:
    """Wait until a directory's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusals(path: str, n_bytes: int) -> Iterator[None]:
    """Turn what the file system says into an error with a remedy."""
    try:
        yield
    except OSError as error:
        raise WriteError(path=path, n_bytes=n_bytes, cause=error) from error
