"""Files in the making, in memory: S3 has no conditional completion in parts that all servers honour."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from storage.place import Place


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
