"""Where a store lies: the whole of what the store asks of a file system or an object store.

Keys are relative, ``/``-separated and built from encoded names only. Data are created once under their key, whole
and durable, and never overwritten; `replace` serves the few files alone that people look for under a fixed name.
`remove` and `quarantine` serve maintenance (repair, eviction, garbage) and what may be lost, such as the summaries of
work in progress (`storage.Summaries`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

COMMITS = "commits"
"""Name of the scalar arrays below which records lie: Zarr lists what is inside groups, never inside arrays."""

PARTIAL = f"{COMMITS}/partial"
"""Where unfinished files of local writers lie, out of sight of every reader, until they are linked."""

QUARANTINE = f"{COMMITS}/quarantine"
"""Where maintenance moves what it takes out of a store, under the key it had."""

LEASE_S = 86400.0
"""How long after its last modification a file, or a dump with all its files, may still have a living writer."""


@dataclass(frozen=True, order=True)
class Entry:
    """One file of a place: its key, size, and when it was written, in seconds since the epoch."""

    key: str
    n_bytes: int
    modified_s: float


class Staged(Protocol):
    """A file in the making: nobody sees it before it is committed whole.

    A context manager; what was not committed when it ends is discarded.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. `WriteError` where the place refuses."""

    def read(self) -> bytes:
        """Return the bytes written so far."""

    def commit(self, *, durable: bool = True) -> bool:
        """Give the file its key unless the key is taken; return whether this call made it.

        It survives power loss when this returns; a file that is not `durable` may be lost, cut or garbage after one,
        where the place is a disk.

        Raises
        ------
        WriteError
            The place refused: full, read-only, forbidden.
        """

    def discard(self) -> None:
        """Leave nothing behind of what was not committed; idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class Place(Protocol):
    """A write-once key–value store. Implementations are frozen dataclasses: equal, hashable, picklable."""

    def __hash__(self) -> int: ...

    @property
    def url(self) -> str:
        """Where this is, as `open_store` takes it; without secrets."""

    def path(self, key: str) -> str:
        """Return how people name a key: a path or an URL.

        Raises
        ------
        SymlinkError
            It is reached through a symbolic link.
        """

    def read(self, key: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        NotFoundError
            There is no such file.
        CorruptError
            It is there and cannot be read.
        UnreachableError
            The place does not answer, or refuses access.
        """

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes from ``start`` to ``stop`` of each range; short where the file ends before. As `read`."""

    def size(self, key: str) -> int | None:
        """Return a file's bytes, or None where there is none."""

    def version(self, key: str) -> tuple[int | str, ...] | None:
        """Return what changes when a file is replaced or touched, or None where there is none."""

    def directories(self, key: str = "") -> list[str]:
        """Return the names directly below a key that have keys below them, sorted, without `COMMITS`."""

    def files(self, key: str = "") -> list[Entry]:
        """Return the files directly below a key, sorted; links count as files, whatever they lead to."""

    def entries(self, key: str = "") -> Iterator[Entry]:
        """Yield every file at any depth below a key, records and unfinished files too, in no promised order."""

    def create(self, key: str, data: bytes) -> bool:
        """Create a file whole and durable, unless its key is taken; return whether this call made it.

        When it returns, the file under that key survives power loss, whoever made it.

        Raises
        ------
        WriteError, UnreachableError
            The place refused: full, read-only, forbidden.
        """

    def replace(self, key: str, data: bytes) -> None:
        """Give a key these bytes, whole and durable, whatever it held before; a reader sees the old or the new ones.

        For files whose name people rely on, such as a report's; data and records are created once.

        Raises
        ------
        WriteError, UnreachableError
            The place refused: full, read-only, forbidden.
        """

    def stage(self, key: str) -> Staged:
        """Begin a file that is written in parts and committed as one."""

    def make_durable(self, key: str) -> bool:
        """Wait until a file of some other writer, perhaps a moment old, is sure to stay; return whether it is there.

        Raises
        ------
        WriteError, UnreachableError
            The place refused.
        """

    def remove(self, key: str) -> None:
        """Remove a file, durably; nothing where there is none. For maintenance alone, and for summaries.

        Raises
        ------
        WriteError, UnreachableError
            The place refused.
        """

    def quarantine(self, key: str) -> str:
        """Move a file below `QUARANTINE`, where no reader looks, and return its new key; never lose its bytes."""

    def preflight(self) -> None:
        """Try, with a file of a new name below `PARTIAL`, what writers rely on; leave nothing behind.

        Raises
        ------
        WriteError, UnreachableError
            The place is read-only, full or forbidden, or does not create exclusively (the second creation of a key
            must be refused and the first one's bytes stay).
        """

    def free_bytes(self) -> int | None:
        """Return the room that is left, or None where that has no meaning."""
