"""Names of data sets, splits, models and layers as path segments: injective, portable, inside the root."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote_to_bytes

from storage.errors import LayoutError

RESERVED = frozenset({"commits", "zarr.json", "c", "aux", "con", "nul", "prn"})
"""Segments that mean something else: our records, Zarr's own keys, devices of one operating system."""

MAX_SEGMENT = 120
"""Longest segment in bytes before a name is shortened and told apart by its digest."""

_DIGEST_DIGITS = 32
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_DEVICE = re.compile(r"(com|lpt)[0-9]|__.*")


def encode_name(name: str) -> str:
    """Return `name` as one path segment of lower-case ASCII.

    Lower-case letters, digits and ``-_.`` stand for themselves, every other byte of the UTF-8 form as
    ``%xx``: capitals too, so that names that differ in case only stay apart on every file system. A name
    that would be reserved, hidden or end in a dot has its first or last character encoded. Beyond
    `MAX_SEGMENT` bytes the segment is the beginning, ``~`` and 128 bits of the name's SHA-256.

    Raises
    ------
    LayoutError
        `name` is empty or not text.

    Notes
    -----
    ``~`` never stands for itself, so it is free as a separator. Injective: `decode_name` inverts it for
    every segment without ``~``, and shortened segments differ by their digest.
    """
    if not isinstance(name, str) or not name:
        raise LayoutError(
            where="name of a data set, split, model or layer",
            expected="text of at least one character",
            found=repr(name),
            remedy="Give it a name.",
        )
    raw = name.encode("utf-8", "surrogatepass")
    parts = [chr(byte) if byte in _SAFE else f"%{byte:02x}" for byte in raw]
    stem = name.partition(".")[0]
    if name[0] == "." or name in RESERVED or stem in RESERVED or _DEVICE.fullmatch(stem):
        parts[0] = f"%{raw[0]:02x}"
    if name[-1] == ".":
        parts[-1] = "%2e"
    segment = "".join(parts)
    if len(segment) <= MAX_SEGMENT:
        return segment
    digest = hashlib.sha256(raw).hexdigest()[:_DIGEST_DIGITS]
    return f"{segment[: MAX_SEGMENT - _DIGEST_DIGITS - 1]}~{digest}"


def decode_name(segment: str) -> str | None:
    """Return the name a segment stands for, or None where it was shortened (its record holds the name)."""
    if "~" in segment:
        return None
    return unquote_to_bytes(segment).decode("utf-8", "surrogatepass")
