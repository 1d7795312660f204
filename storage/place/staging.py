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

from storage.place import durability

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_LINK_ATTEMPTS = 16


@dataclass(frozen=True, eq=False)
class StagedInMemory:
    """A file that is kept in memory until it is created whole: a `Staged`.

    `create` is the place's, for the file's key. Costs as much memory as the file has bytes.
    """

    create: Callable[[bytes], bool]
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
        return self.create(self._data.getvalue())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()


class StagedFile:
    """An unfinished file, linked to its name when it is committed.

    It is opened for every part: thousands of layers in the making hold no descriptors.

    Parameters
    ----------
    path
        The name it will have.
    folder
        Where it lies until then, on the same file system.
    make_directory
        Makes a directory, and those above it, durably.
    """

    def __init__(self, path: str, *, folder: str, make_directory: Callable[[str], None]) -> None:
        self._path = path
        self._partial = os.path.join(folder, uuid.uuid4().hex)  # noqa: PTH118
        self._make_directory = make_directory
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; see `Staged.write`."""
        with durability.refusals(self._path, len(data)):
            if not self._begun:
                self._make_directory(os.path.dirname(self._partial))  # noqa: PTH120
            new, self._begun = not self._begun, True
            durability.append(self._partial, data, new=new)

    def read(self) -> bytes:
        """Return the bytes written so far; see `Staged.read`."""
        with open(self._partial, "rb", opener=durability.open_unfollowed) as file:
            return file.read()

    def commit(self, *, durable: bool = True) -> bool:
        """Flush the bytes, link them to their name, flush the directory; see `Staged.commit`."""
        with durability.refusals(self._path, 0):
            if not self._begun:
                self.write(b"")
            # Bytes first, name second, directory last: a name that survives power loss always leads to whole bytes.
            if durable:
                durability.sync_file(self._partial)
            made = self._linked()
            if durable:
                with suppress(FileNotFoundError):  # removed since, and the directory with it
                    durability.sync_directory(os.path.dirname(self._path))  # noqa: PTH120
        return made

    def replace(self) -> None:
        """Flush the bytes, move them to their name over what lies there, flush the directory."""
        with durability.refusals(self._path, 0):
            durability.sync_file(self._partial)
            self._named(os.rename)
            self._begun = False
            with suppress(FileNotFoundError):  # removed since, and the directory with it
                durability.sync_directory(os.path.dirname(self._path))  # noqa: PTH120

    def _linked(self) -> bool:
        """Link the bytes to their name unless it is taken; return whether this call did.

        A link, because it fails where the name is taken: a rename would put this writer's bytes over another's.
        """
        try:
            self._named(os.link)
        except FileExistsError:
            return False
        return True

    def _named(self, give_name: Callable[[str, str], None]) -> None:
        """Give the unfinished file its name, in a directory that others may remove meanwhile."""
        for attempts_left in reversed(range(_LINK_ATTEMPTS)):
            try:
                self._make_directory(os.path.dirname(self._path))  # noqa: PTH120
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
