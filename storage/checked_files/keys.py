"""Under which keys checked files, records and published files lie, and what a key says.

::

    maps/dm-1234~<digest>.safetensors            the bytes kept under the name "maps/dm-1234"
    report/index.html                            a published file: its name is for people
    commits/files/maps/dm-1234~commit.json       which file is the one of its name
    commits/records/models/net/~000007.json      a version of the record "models/net"
    commits/published/report/~000003.json        what was published in the folder "report", by digest

Segments of names are encoded (`storage.place.names`). There ``~`` never stands for itself, so what follows it is ours.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from storage.errors import LayoutError
from storage.place import COMMITS, decode_name, encode_name

FILES = f"{COMMITS}/files"
"""Below it lie the commits: for each name, which file is its own."""

RECORDS = f"{COMMITS}/records"
"""Below it lie the versions of records."""

PUBLISHED = f"{COMMITS}/published"
"""Below it lie the records of what was published."""

DIGEST_DIGITS = 32
"""How many hex digits of a file's SHA-256 stand in its name: 128 bits."""

_COMMIT_SUFFIX = "~commit.json"
_KEPT = re.compile(r"(?P<stem>.+)~(?P<digest>[0-9a-f]{32})(?P<suffix>(?:\.[a-z0-9]+)*)")
_VERSION = re.compile(r"~([0-9]{6,12})\.json")
_SUFFIX = re.compile(r"(?:\.[a-z0-9]{1,16}){1,2}")
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}")


@dataclass(frozen=True)
class KeptKey:
    """What the key of a checked file says: `stem` is its encoded name, `digest` that of its bytes."""

    stem: str
    digest: str


def digest_of_data(data: bytes) -> str:
    """Return the digest that stands in a file's name: the first digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_DIGITS]


def encoded(name: str) -> str:
    """Return a name as the part of a key; its ``/`` separate folders.

    Raises
    ------
    LayoutError
        The name, or one of its segments, is empty.
    """
    return "/".join(encode_name(segment) for segment in name.split("/"))


def decoded(stem: str) -> str | None:
    """Return the name that a stem encodes, or None where a long segment was shortened: the commit knows it."""
    segments = [decode_name(segment) for segment in stem.split("/")]
    return None if None in segments else "/".join(map(str, segments))


def data_key(name: str, digest: str, suffix: str) -> str:
    """Return the key of the bytes of this digest under a name.

    Raises
    ------
    LayoutError
        The suffix is none of one or two short lower-case extensions.
    """
    if not _SUFFIX.fullmatch(suffix):
        raise LayoutError(
            where=f"file {name!r}",
            expected="a suffix such as '.json' or '.safetensors'",
            found=repr(suffix),
            remedy="Give the extension by which other programs know the format.",
        )
    return f"{encoded(name)}~{digest}{suffix}"


def parse_data_key(key: str) -> KeptKey | None:
    """Return what the key of a checked file says, or None where it is none."""
    folder, slash, segment = key.rpartition("/")
    match = _KEPT.fullmatch(segment)
    if match is None or key.startswith(f"{COMMITS}/"):
        return None
    return KeptKey(f"{folder}{slash}{match['stem']}", match["digest"])


def commit_key(stem: str) -> str:
    """Return the key of the commit of the file whose encoded name is `stem`."""
    return f"{FILES}/{stem}{_COMMIT_SUFFIX}"


def parse_commit_key(key: str) -> str | None:
    """Return the encoded name that a commit is about, or None where the key is no commit's."""
    if not key.startswith(f"{FILES}/") or not key.endswith(_COMMIT_SUFFIX):
        return None
    return key.removeprefix(f"{FILES}/").removesuffix(_COMMIT_SUFFIX)


def version_key(home: str, number: int) -> str:
    """Return the key of one version of what has its versions in the folder `home`."""
    return f"{home}/~{number:06d}.json"


def parse_version_key(key: str) -> tuple[str, int] | None:
    """Return the folder and the number of a version, or None where the key is no version's."""
    home, _, segment = key.rpartition("/")
    match = _VERSION.fullmatch(segment)
    if match is None or not f"{home}/".startswith((f"{RECORDS}/", f"{PUBLISHED}/")):
        return None
    return home, int(match[1])


def record_home(name: str) -> str:
    """Return the folder of a record's versions."""
    return f"{RECORDS}/{encoded(name)}"


def published_home(folder: str) -> str:
    """Return the folder of the versions of what was published in a folder; ``""`` is the root."""
    return f"{PUBLISHED}/{plain_key(folder)}" if folder else PUBLISHED


def published_folder(home: str) -> str:
    """Return the folder whose published files have their records in `home`."""
    return home.removeprefix(PUBLISHED).removeprefix("/")


def plain_key(name: str) -> str:
    """Return a name that people gave a published file or its folder: it is its own key.

    Raises
    ------
    LayoutError
        A segment has other characters than letters, digits and ``._-``, is hidden, or is reserved.
    """
    segments = name.split("/")
    if all(_PLAIN_SEGMENT.fullmatch(segment) for segment in segments) and segments[0] != COMMITS:
        return name
    raise LayoutError(
        where=f"published file {name!r}",
        expected=f"segments of letters, digits and '._-', neither hidden nor {COMMITS!r}",
        found=repr(name),
        remedy="Publish it under another name.",
    )
