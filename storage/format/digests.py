"""JSON with one spelling, and the SHA-256 of it, of ids and of files: what records and identities are bound by."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from storage.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable


def canonical(content: object) -> bytes:
    """Return JSON with one spelling: sorted keys, no spaces, ASCII; NaN and infinity refused."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def plain(content: object, *, where: str) -> dict[str, Any]:
    """Return `content` as it will read back from JSON.

    Raises
    ------
    SchemaError
        Something in it is not JSON: an array, NaN, a key that is not text.
    """
    _demand_text_keys(content, where)
    try:
        result: dict[str, Any] = json.loads(canonical(content))
    except (TypeError, ValueError) as error:
        raise SchemaError(
            where=where,
            expected="plain JSON: text, finite numbers, true, false, null, lists, mappings",
            found=str(error),
            remedy="Convert the entry to text or numbers before it is recorded.",
        ) from error
    return result


def _demand_text_keys(content: object, where: str) -> None:
    """Refuse keys that JSON would silently turn into text: 1 and "1" would become one identity."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise SchemaError(
                    where=where, expected="text as keys", found=repr(key), remedy="Write the key as text."
                )
            _demand_text_keys(value, f"{where}.{key}")
    elif isinstance(content, list | tuple):
        for value in content:
            _demand_text_keys(value, where)


def digest_of(content: object) -> str:
    """Return the SHA-256 of the canonical JSON of `content`, in hex."""
    return hashlib.sha256(canonical(content)).hexdigest()


def digest_of_ids(sample_ids: Iterable[str]) -> str:
    """Return the SHA-256 of ids in order, in hex; lengths are part of it, so that no two lists collide."""
    digest = hashlib.sha256()
    for sample in sample_ids:
        raw = sample.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def digest_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
