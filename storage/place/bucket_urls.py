"""URLs of buckets: ``s3://bucket/prefix``, without credentials; what may be a secret is never repeated."""

from __future__ import annotations

import re
from functools import lru_cache

from storage.errors import FormatError

_SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@lru_cache(maxsize=256)
def parse_bucket_url(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix (perhaps empty) of an URL; keys are literal, nothing is decoded.

    Raises
    ------
    FormatError
        Another scheme, credentials, a query, a name no bucket has, or a prefix with segments no key has.
    """
    if not url.startswith(_SCHEME):
        raise _malformed(url, "another scheme, or none")
    rest = url.removeprefix(_SCHEME)
    bucket, _, prefix = rest.partition("/")
    # a secret may itself hold a slash: a colon in the bucket's place marks the same mistake
    if "@" in rest or ":" in bucket:
        raise _malformed(url, "credentials or a port in it")
    if set(rest) & set("?#\\") or not rest.isprintable():
        raise _malformed(url, "a query, a fragment, or characters that no key of a store has")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise _malformed(url, f"the bucket name {bucket!r} (3 to 63 lower-case letters, digits, '-' and '.')")
    prefix = prefix.removesuffix("/")
    if prefix and set(prefix.split("/")) & {"", ".", ".."}:
        raise _malformed(url, "an empty, '.' or '..' segment")
    return bucket, prefix


def _malformed(url: str, found: str) -> FormatError:
    """Return the error for an URL that names no bucket; what lies before an ``@`` or behind a ``?`` is left out."""
    scheme, colon, rest = url.partition("://")
    suspect = any(mark in rest for mark in "@:") or not colon
    shown = "the URL of an object store" if suspect else f"{scheme}://{re.split('[?#]', rest)[0]}"
    return FormatError(
        where=shown,
        expected="s3://bucket/prefix",
        found=found,
        remedy="Put bucket and prefix into the URL, and credentials and endpoint into the environment: "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION.",
    )
