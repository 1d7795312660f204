"""Records: small JSON files that carry their own digest, created once and read back exactly or not at all."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from storage.errors import ConflictError, CorruptError, FormatError
from storage.schema import FORMAT, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.files import Files

_REMEDY = "Restore it from a copy, or remove it: it is written again when its dump is run again."


def create_record(files: Files, key: str, *, kind: str, content: Mapping[str, Any]) -> bool:
    """Create a record durably unless one is there; return whether this call made it."""
    return files.create(key, _encode(kind, content))


def settle_record(files: Files, key: str, *, kind: str, content: Mapping[str, Any]) -> None:
    """Create a record, or find the same one there.

    Raises
    ------
    ConflictError
        Another content stands under this key.
    """
    if create_record(files, key, kind=kind, content=content):
        return
    found = read_record(files, key, kind=kind)
    if found != content:
        differing = sorted(k for k in {*found, *content} if found.get(k) != content.get(k))
        raise ConflictError(
            where=files.path(key),
            expected=f"the same {kind} as now, or none",
            found=f"another one: it differs in {', '.join(differing)}",
            remedy="Nothing is overwritten: choose another name, or remove the old one yourself.",
        )


def read_record(files: Files, key: str, *, kind: str) -> dict[str, Any]:
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
    data = files.read(key)
    path = files.path(key)
    try:
        record = json.loads(data)
        found_kind, version, content = record["record"], record["format"], record["content"]
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(path, kind, f"{len(data)} bytes that are no record ({error})") from error
    if _from_newer(record):
        raise FormatError(
            where=path,
            expected=f"format {FORMAT} or older",
            found=f"format {version}",
            remedy="Install a newer version to read it.",
        )
    if found_kind != kind or data != _encode(kind, content):
        raise _corrupt(path, kind, "bytes that do not match the digest inside")
    return dict(content)


def read_cached(files: Files, key: str, *, kind: str) -> Mapping[str, Any] | None:
    """Return a record's content, or None where there is none; parsed once per process and file version."""
    version = files.version(key)
    return None if version is None else _read_version(files, key, kind, version)


@lru_cache(maxsize=512)
def _read_version(files: Files, key: str, kind: str, version: tuple[int, ...]) -> Mapping[str, Any]:
    """Read one version of a record; the version is only the cache's key."""
    del version
    return read_record(files, key, kind=kind)


def _encode(kind: str, content: Mapping[str, Any]) -> bytes:
    """Return a record's bytes: one spelling for one content, readable by people."""
    body = {"content": content, "format": FORMAT, "record": kind}
    return json.dumps({**body, "sha256": digest_of(body)}, indent=1, allow_nan=False, sort_keys=True).encode()


def _from_newer(record: Mapping[str, Any]) -> bool:
    """Return whether this is a whole record of a newer format."""
    body = {key: value for key, value in record.items() if key != "sha256"}
    version = record["format"]
    return isinstance(version, int) and version > FORMAT and digest_of(body) == record.get("sha256")


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
