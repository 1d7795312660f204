"""Answers altered on their way: asked for again where a digest tells, confirmed by a second one where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import CorruptError, SymlinkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from storage.place.contract import Place

    _T = TypeVar("_T")

_READS = 4


def asked_again(read: Callable[[], _T]) -> _T:
    """Return what `read` gives, asked for once more where it is damaged.

    What came over a network may have been altered on the way, and lie there as it should.

    Raises
    ------
    CorruptError
        It was damaged both times, or is reached through a symbolic link.
    """
    try:
        return read()
    except SymlinkError:
        raise
    except CorruptError:
        return read()


def read_confirmed(place: Place, key: str, *, wanted: bytes | None = None) -> bytes:
    """Return the bytes of a file without a digest: those that are `wanted`, or others that two reads agree on.

    Raises
    ------
    NotFoundError
        There is no such file.
    CorruptError
        It reads otherwise every time.
    """
    before: bytes | None = wanted
    for _ in range(_READS):
        data = place.read(key)
        if data == before:
            return data
        before = data
    raise CorruptError(
        representation="store",
        row_group=None,
        file=place.path(key),
        expected="the same bytes from two reads",
        found=f"others in each of {_READS}",
        remedy="Look at the disk or the network, and run again.",
    )
