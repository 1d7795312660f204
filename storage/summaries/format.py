"""The bytes of one summary: a header that carries its own digest, then arrays that lie as they are in memory.

::

    0    8 bytes  MAGIC
    8    8 bytes  length n of the record, little-endian
    16   n bytes  a record of kind "summary" (`storage.format.records`): kind, key, content, and of each array its name,
                  dtype, shape and digest
    …    zeros up to a multiple of 64
    …    the arrays in the order of their names, C order, little-endian, each followed by zeros up to a multiple of 64

Starts of arrays follow from the header: they are multiples of 64 bytes, so that arrays of a file that is mapped or read
whole can be worked on where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from storage.errors import CorruptError, LayoutError
from storage.format import content_of, plain, record_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

SUMMARY = "summary"

MAGIC = b"summary\n"

ALIGN = 64
"""Arrays start at multiples of this many bytes."""

MAX_RECORD_BYTES = 1 << 26
"""A longer record is taken for a damaged length, before memory is asked for."""

_PREFIX = len(MAGIC) + 8
_DTYPES = frozenset(
    ["|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"]
)
_REMEDY = "Remove it, as a repair of the store does: it is computed again."


@dataclass(frozen=True)
class ArrayEntry:
    """What a header says of one array; `dtype` as NumPy writes it (``<f8``), `digest` is its XXH3-128, hex."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    digest: str

    @property
    def n_bytes(self) -> int:
        """Bytes of its values."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Header:
    """What stands in front of the arrays; `content` is plain JSON."""

    kind: str
    key: str
    content: Mapping[str, Any]
    arrays: tuple[ArrayEntry, ...]

    @classmethod
    def of(
        cls, kind: str, key: str, stored: Mapping[str, npt.NDArray[Any]], content: Mapping[str, Any]
    ) -> Header:
        """Return the header of arrays as `stored_arrays` gives them, whose values it digests.

        Raises
        ------
        SchemaError
            `content` is not JSON.
        """
        entries = tuple(
            ArrayEntry(name, values.dtype.str, values.shape, digest_of_values(bytes_of(values)))
            for name, values in stored.items()
        )
        return cls(kind, key, plain(dict(content), where=f"content of {kind}/{key}"), entries)

    @cached_property
    def head(self) -> bytes:
        """The bytes up to the first array."""
        arrays = [[entry.name, entry.dtype, list(entry.shape), entry.digest] for entry in self.arrays]
        about = {"kind": self.kind, "key": self.key, "content": self.content, "arrays": arrays}
        record = record_bytes(SUMMARY, about)
        before = MAGIC + len(record).to_bytes(8, "little") + record
        return before + bytes(padding(len(before)))

    @classmethod
    def from_bytes(cls, block: bytes, where: str) -> Header:
        """Return the header of a file that begins with `block`, which holds it whole; `where` names the file.

        Raises
        ------
        CorruptError
            It is not, bit for bit, what was written.
        FormatError
            It was written by a newer version.
        """
        stop = record_stop(block)
        if stop is None:
            raise damaged(where, "a summary", f"{len(block)} bytes that do not begin like one")
        try:
            content = content_of(block[_PREFIX:stop], where, SUMMARY)
        except CorruptError as error:
            raise damaged(where, "the header that was written", error.found) from error
        arrays = tuple(
            ArrayEntry(name, dtype, tuple(shape), digest) for name, dtype, shape, digest in content["arrays"]
        )
        header = cls(content["kind"], content["key"], content["content"], arrays)
        if not block.startswith(header.head):
            raise damaged(where, "zeros behind the header", "other bytes")
        return header

    def differences(self, other: Header) -> list[str]:
        """Return in what this is another summary: ``content`` and names of arrays; their values are not compared."""
        mine, theirs = (
            {entry.name: (entry.dtype, entry.shape) for entry in header.arrays} for header in (self, other)
        )
        arrays = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
        return [*(["content"] if self.content != other.content else []), *arrays]

    def spans(self) -> dict[str, tuple[int, int]]:
        """Return where each array starts and stops, with the zeros behind it."""
        at, found = len(self.head), {}
        for entry in self.arrays:
            stop = at + entry.n_bytes + padding(entry.n_bytes)
            found[entry.name] = (at, stop)
            at = stop
        return found

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole file."""
        return max((stop for _, stop in self.spans().values()), default=len(self.head))


def record_stop(block: bytes) -> int | None:
    """Return where the record ends that a file beginning with `block` says it has, or None where it is no summary."""
    length = int.from_bytes(block[len(MAGIC) : _PREFIX], "little")
    whole = block.startswith(MAGIC) and len(block) >= _PREFIX
    return _PREFIX + length if whole and length <= MAX_RECORD_BYTES else None


def padding(n_bytes: int) -> int:
    """Return how many zeros lead from so many bytes to a multiple of `ALIGN`."""
    return -n_bytes % ALIGN


def stored_arrays(arrays: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
    """Return arrays as they are stored: sorted by name, C order, little-endian; copies only what is otherwise.

    Raises
    ------
    LayoutError
        A name is no text, or values are not booleans, integers, or floating point of 2 to 8 bytes.
    """
    return {name: _stored(name, arrays[name]) for name in sorted(arrays, key=str)}


def _stored(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return one array as it is stored."""
    given = np.asarray(values)
    dtype = given.dtype.newbyteorder("<")
    if not isinstance(name, str) or not name or dtype.str not in _DTYPES:
        raise LayoutError(
            where=f"array {name!r} of a summary",
            expected="a name, and booleans, integers, real or complex numbers of up to 8 bytes a part",
            found=f"values of {given.dtype}",
            remedy="Convert it; text belongs into the content.",
        )
    return np.asarray(given, dtype=dtype, order="C")


def bytes_of(values: npt.NDArray[Any]) -> memoryview:
    """Return the bytes of a C-contiguous array, where they lie."""
    return values.reshape(-1).view(np.uint8).data


def digest_of_values(data: memoryview | bytes) -> str:
    """Return the digest of an array's bytes, XXH3-128, hex: finds damage, not forgery."""
    return xxhash.xxh3_128(data).hexdigest()


def damaged(where: str, expected: str, found: str) -> CorruptError:
    """Return the error for a summary's file that is not what was written."""
    return CorruptError(
        representation="summary", row_group=None, file=where, expected=expected, found=found, remedy=_REMEDY
    )
