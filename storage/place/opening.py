"""The place that a path or URL names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import FormatError
from storage.place.bucket import BucketPlace
from storage.place.local import LocalPlace

if TYPE_CHECKING:
    from storage.place.contract import Place


def open_place(url: str | Path, *, patience_s: float | None = None) -> Place:
    """Return the place that an URL or path names; nothing is read or made.

    Parameters
    ----------
    patience_s
        For how long a request to a bucket may go unanswered before it is given up; default: a minute of attempts.

    Raises
    ------
    FormatError
        A URL of a kind that is not supported.
    """
    text = str(url)
    if text.startswith("s3://"):
        if patience_s is None:
            return BucketPlace.at(text)
        return BucketPlace.at(text, retry_timeout_s=patience_s, request_timeout_s=patience_s)
    if "://" in text and not text.startswith("file://"):
        raise FormatError(
            where=text,
            expected="a local path, file:// or s3://bucket/prefix",
            found="another kind of URL",
            remedy="Use a directory of this machine, or an object store with the S3 interface.",
        )
    return LocalPlace(str(Path(text.removeprefix("file://")).expanduser().resolve()))


def place_and_key(url: str) -> tuple[Place, str]:
    """Return the place that the object of an URL lies in, and its key there. Errors as `open_place`."""
    folder, _, key = url.rpartition("/")
    return open_place(folder), key
