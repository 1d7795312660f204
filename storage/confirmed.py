"""Reading files that carry no digest of their own, so that an answer altered on its way is not taken for the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import CorruptError

if TYPE_CHECKING:
    from storage.place import Place

_READS = 4


def read_confirmed(place: Place, key: str, *, wanted: bytes | None = None) -> bytes:
    """Return a file's bytes: those that are `wanted`, or others that two reads in turn agree on.

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
