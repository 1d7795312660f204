"""Records: small JSON files that carry their own digest, created once and read back exactly or not at all."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from storage.errors import ConflictError, CorruptError, FormatError
from storage.format.digests import canonical, digest_of_bytes
from storage.format.schema import FORMAT
from storage.place import asked_again

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place

_TAIL = b"}\n"

_REMEDY = "Repair the store: what follows from other records is made again, the rest is named."


def create_record(place: Place, key: str, *, kind: str, content: Mapping[str, Any]) -> bool:
    """Create a record durably unless one is there; return whether this call made it."""
    return place.create(key, record_bytes(kind, content))


def settle_record(place: Place, key: str, *, kind: str, content: Mapping[str, Any]) -> None:
    """Create a record, or find the same one there.

    Raises
    ------
    ConflictError
        Another content stands under this key.
    """
    if create_record(place, key, kind=kind, content=content):
        return
    stored = read_record(place, key, kind=kind)
    if stored != content:
        differing = sorted(k for k in {*stored, *content} if stored.get(k) != content.get(k))
        raise ConflictError(
            where=place.path(key),
            expected=f"the same {kind} as now, or none",
            found=f"another one: it differs in {', '.join(differing)}",
            remedy="Nothing is overwritten: choose another name, or remove the old one yourself.",
        )


def read_record(place: Place, key: str, *, kind: str) -> dict[str, Any]:
    """Return a record's content; its file must be, byte for byte, what was written.

    Raises
    ------
    NotFoundError
        There is none.
    CorruptError
        The bytes are not those of a whole record of this kind.
    FormatError
        It was written by a newer version.
    """
    return asked_again(lambda: content_of(place.read(key), place.path(key), kind))


def content_of(data: bytes, path: str, kind: str) -> dict[str, Any]:
    """Return the content of a record's bytes; `path` is where they lie. Errors as `read_record`."""
    try:
        record = json.loads(data)
        found_kind, version, content = record["record"], record["format"], record["content"]
        digest = record["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(path, kind, f"{len(data)} bytes that are no record ({error})") from error
    head = _head(found_kind, version, digest)
    whole = data.startswith(head) and data.endswith(_TAIL)
    if not whole or _digest(found_kind, version, data[len(head) : -len(_TAIL)]) != digest:
        raise _corrupt(path, kind, "bytes that do not match the digest inside")
    if isinstance(version, int) and version > FORMAT:
        raise FormatError(
            where=path,
            expected=f"format {FORMAT} or older",
            found=f"format {version}",
            remedy="Install a newer version to read it.",
        )
    if found_kind != kind:
        raise _corrupt(path, kind, f"a {found_kind}")
    return dict(content)


def read_cached(place: Place, key: str, *, kind: str) -> Mapping[str, Any] | None:
    """Return a record's content, or None where there is none; parsed once per process and file version."""
    version = place.version(key)
    return None if version is None else _read_version(place, key, kind, version)


@lru_cache(maxsize=512)
def _read_version(place: Place, key: str, kind: str, version: tuple[int | str, ...]) -> Mapping[str, Any]:
    """Read one version of a record; the version is only the cache's key."""
    del version
    return read_record(place, key, kind=kind)


def forget_records() -> None:
    """Let records be read anew."""
    _read_version.cache_clear()


def record_bytes(kind: str, content: Mapping[str, Any]) -> bytes:
    """Return a record's bytes: one JSON document, one spelling for one content, the digest in front of it."""
    body = canonical(content)
    return _head(kind, FORMAT, _digest(kind, FORMAT, body)) + body + _TAIL


def _head(kind: object, version: object, digest: object) -> bytes:
    """Return what stands before a record's content."""
    return canonical({"record": kind, "format": version, "sha256": digest})[:-1] + b',"content":'


def _digest(kind: object, version: object, body: bytes) -> str:
    """Return what a record's digest must be; taken over the bytes, so that nothing is spelt twice to check it."""
    return digest_of_bytes(canonical([kind, version]) + body)


def _corrupt(path: str, kind: str, found: str) -> CorruptError:
    """Return the error for a record that is not what was written."""
    return CorruptError(
        representation="record",
        row_group=None,
        file=path,
        expected=f"a whole {kind}",
        found=found,
        remedy=_REMEDY,
    )
