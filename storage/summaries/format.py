"""The bytes of one summary: a safetensors file whose header carries digests of itself and of every array.

Any program that reads safetensors finds the arrays. What else is known of them is text in the header's metadata:

========== ==================================================================================================
kind, key  what the summary is called, so that a file under another name is noticed
content    what else is known of it, as JSON
digests    name → XXH3-128 of each array's bytes, as JSON
format     the version of this layout
sha256     of all of the above and of names, dtypes and shapes
========== ==================================================================================================

The header has one spelling (sorted keys, no spaces, ASCII) and is filled up with spaces to a multiple of 64 bytes, so
that any flipped bit in it is found. Arrays lie one behind the other, those of larger items first, then by name: each
starts at a multiple of its item's size and can be worked on where it lies.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from storage.errors import CorruptError, FormatError, LayoutError
from storage.format import canonical, digest_of, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

SUMMARY_FORMAT = 2
"""Version of this layout; a reader refuses a newer one. The first lay under another suffix and is never found."""

ALIGN = 64
"""The arrays start at a multiple of this many bytes."""

MAX_HEADER_BYTES = 1 << 26
"""A longer header is taken for a damaged length, before memory is asked for."""

LENGTH_BYTES = 8
"""A file begins with the length of its header, little-endian."""

_METADATA = "__metadata__"
_NAMES = {
    "|b1": "BOOL", "|i1": "I8", "|u1": "U8", "<i2": "I16", "<u2": "U16", "<i4": "I32", "<u4": "U32",
    "<i8": "I64", "<u8": "U64", "<f2": "F16", "<f4": "F32", "<f8": "F64",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_REMEDY = "Remove it, as a repair of the store does: it is computed again."


@dataclass(frozen=True)
class ArrayEntry:
    """What a header says of one array; `dtype` as NumPy writes it (``<f8``), `digest` is its XXH3-128, hex."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    digest: str

    @property
    def item_bytes(self) -> int:
        """Bytes of one value."""
        return int(self.dtype[2:])

    @property
    def n_bytes(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.item_bytes


@dataclass(frozen=True)
class Header:
    """What stands in front of the arrays; `content` is plain JSON, `arrays` are sorted by name."""

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
        entries = (
            ArrayEntry(name, values.dtype.str, values.shape, digest_of_values(bytes_of(values)))
            for name, values in stored.items()
        )
        content = plain(dict(content), where=f"content of {kind}/{key}")
        return cls(kind, key, content, tuple(sorted(entries, key=lambda entry: entry.name)))

    @cached_property
    def head(self) -> bytes:
        """The bytes up to the first array."""
        about = {
            "format": str(SUMMARY_FORMAT),
            "kind": self.kind,
            "key": self.key,
            "content": _text(self.content),
            "digests": _text({entry.name: entry.digest for entry in self.arrays}),
        }
        described = [[entry.name, entry.dtype, list(entry.shape)] for entry in self.arrays]
        header: dict[str, Any] = {_METADATA: {**about, "sha256": digest_of([about, described])}}
        for entry in self.arrays:
            described_array = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape)}
            header[entry.name] = {**described_array, "data_offsets": list(self._offsets[entry.name])}
        text = _text(header).encode()
        text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGN)
        return len(text).to_bytes(LENGTH_BYTES, "little") + text

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
        stop = header_stop(block)
        if stop is None:
            raise damaged(where, "a summary", f"{len(block)} bytes that do not begin like one")
        try:
            header, version = cls._parsed(json.loads(block[LENGTH_BYTES:stop]))
            # One content has one spelling, and its digest is part of it: this comparison finds every flipped bit.
            whole = block[:stop] == header.head
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(
                where, "the header that was written", f"one that cannot be read ({error})"
            ) from error
        if version > SUMMARY_FORMAT:
            raise FormatError(
                where=where,
                expected=f"a summary of format {SUMMARY_FORMAT}",
                found=f"format {version}",
                remedy="Install a newer version to read it.",
            )
        if not whole:
            raise damaged(where, "the header that was written", "bytes that do not match the digest inside")
        return header

    @classmethod
    def _parsed(cls, said: Mapping[str, Any]) -> tuple[Header, int]:
        """Return the header that a file's JSON describes, and the version of its layout."""
        about = said[_METADATA]
        digests = json.loads(about["digests"])
        arrays = tuple(
            ArrayEntry(name, _DTYPES[array["dtype"]], tuple(array["shape"]), digests[name])
            for name, array in sorted(said.items())
            if name != _METADATA
        )
        return cls(about["kind"], about["key"], json.loads(about["content"]), arrays), int(about["format"])

    def differences(self, other: Header) -> list[str]:
        """Return in what this is another summary: ``content`` and names of arrays; their values are not compared."""
        mine, theirs = (
            {entry.name: (entry.dtype, entry.shape) for entry in header.arrays} for header in (self, other)
        )
        arrays = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
        return [*(["content"] if self.content != other.content else []), *arrays]

    @property
    def order(self) -> tuple[ArrayEntry, ...]:
        """The arrays in the order in which they lie."""
        return tuple(sorted(self.arrays, key=lambda entry: (-entry.item_bytes, entry.name)))

    @cached_property
    def _offsets(self) -> dict[str, tuple[int, int]]:
        """Where each array starts and stops, counted from the first one."""
        at, offsets = 0, {}
        for entry in self.order:
            offsets[entry.name] = (at, at + entry.n_bytes)
            at += entry.n_bytes
        return offsets

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each array starts and stops in the file."""
        first = len(self.head)
        return {name: (first + start, first + stop) for name, (start, stop) in self._offsets.items()}

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole file."""
        return len(self.head) + sum(entry.n_bytes for entry in self.arrays)


def header_stop(block: bytes) -> int | None:
    """Return where the header ends that a file beginning with `block` says it has, or None where it is no summary."""
    length = int.from_bytes(block[:LENGTH_BYTES], "little")
    return LENGTH_BYTES + length if len(block) > LENGTH_BYTES and length <= MAX_HEADER_BYTES else None


def stored_arrays(arrays: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
    """Return arrays as they are stored: C order, little-endian; copies only what is otherwise.

    Raises
    ------
    LayoutError
        A name is no text, or the format's own; values are not booleans, integers, or real numbers of 2 to 8 bytes.
    """
    return {name: _stored(name, values) for name, values in arrays.items()}


def _stored(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return one array as it is stored."""
    given = np.asarray(values)
    dtype = given.dtype.newbyteorder("<")
    if not isinstance(name, str) or name in ("", _METADATA) or dtype.str not in _NAMES:
        raise LayoutError(
            where=f"array {name!r} of a summary",
            expected="a name, and booleans, integers or real numbers of up to 8 bytes",
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


def _text(content: object) -> str:
    """Return JSON with one spelling, as text."""
    return canonical(content).decode()
