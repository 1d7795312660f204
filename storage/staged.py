"""Files in the making: on a disk out of sight of readers, for an object store in memory.

S3 has no conditional completion in parts that all servers honour.
"""

from __future__ import annotations

import io
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage import disk
from storage.place import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from storage.files import Files
    from storage.place import Place

_LINK_ATTEMPTS = 16


@dataclass(frozen=True, eq=False)
class StagedInMemory:
    """A file that is kept in memory until it is created whole: a `storage.place.Staged`.

    Costs as much memory as the file has bytes.
    """

    place: Place
    key: str
    _data: io.BytesIO = field(default_factory=io.BytesIO, repr=False)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._data.write(data)

    def read(self) -> bytes:
        """Return the bytes written so far."""
        return self._data.getvalue()

    def discard(self) -> None:
        """Drop the bytes."""
        self._data.close()

    def commit(self, *, durable: bool = True) -> bool:  # noqa: ARG002  (what an object store answered is durable)
        """Create the file unless its key is taken; return whether this call made it. As `Place.create`."""
        return self.place.create(self.key, self._data.getvalue())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()


class StagedFile:
    """An unfinished file below `PARTIAL`, linked to its name when it is committed.

    It is opened for every part: thousands of layers in the making hold no descriptors.
    """

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        self._partial = os.path.join(files.path(PARTIAL), uuid.uuid4().hex)  # noqa: PTH118
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; see `Staged.write`."""
        with disk.refusals(self._path, len(data)):
            if not self._begun:
                self._files.make_directory(os.path.dirname(self._partial))  # noqa: PTH120
            new, self._begun = not self._begun, True
            disk.append(self._partial, data, new=new)

    def read(self) -> bytes:
        """Return the bytes written so far; see `Staged.read`."""
        with open(self._partial, "rb", opener=disk.open_unfollowed) as file:
            return file.read()

    def commit(self, *, durable: bool = True) -> bool:
        """Flush the bytes, link them to their name, flush the directory; see `Staged.commit`."""
        with disk.refusals(self._path, 0):
            if not self._begun:
                self.write(b"")
            if durable:
                disk.sync_file(self._partial)
            made = self._linked()
            if durable:
                with suppress(FileNotFoundError):  # removed since, and the directory with it
                    disk.sync_directory(os.path.dirname(self._path))  # noqa: PTH120
        return made

    def replace(self) -> None:
        """Flush the bytes, move them to their name over what lies there, flush the directory."""
        with disk.refusals(self._path, 0):
            disk.sync_file(self._partial)
            self._named(os.rename)
            self._begun = False
            with suppress(FileNotFoundError):  # removed since, and the directory with it
                disk.sync_directory(os.path.dirname(self._path))  # noqa: PTH120

    def _linked(self) -> bool:
        """Link the bytes to their name unless it is taken; return whether this call did."""
        try:
            self._named(os.link)
        except FileExistsError:
            return False
        return True

    def _named(self, give_name: Callable[[str, str], None]) -> None:
        """Give the unfinished file its name, in a directory that others may remove meanwhile."""
        for attempts_left in reversed(range(_LINK_ATTEMPTS)):
            try:
                self._files.make_directory(os.path.dirname(self._path))  # noqa: PTH120
                give_name(self._partial, self._path)
            except FileNotFoundError:
                # The directory went with the last file that somebody removed from it: it is made again.
                if not attempts_left:
                    raise
            else:
                return

    def discard(self) -> None:
        """Remove the unfinished file, if there is one; what it was linked to stays."""
        if self._begun and os.path.lexists(self._partial):
            os.unlink(self._partial)  # noqa: PTH108
