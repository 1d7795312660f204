"""Holding every checked file against its name, and every published file against its record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from storage.checked_files import kept, versions
from storage.checked_files.keys import DIGEST_DIGITS, parse_data_key, parse_version_key, published_folder
from storage.checked_files.published import NOT_YET, published_key
from storage.errors import CorruptError, NotFoundError, StoreError
from storage.place import asked_again
from storage.problems import Problem, problem_of, unvouched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.checked_files.walk import Walk
    from storage.place import Entry, Place

_PIECE_BYTES = 1 << 26


@dataclass(frozen=True)
class Finding:
    """A problem, the key of the file that it is about, and what it is: what a repair goes by."""

    kind: str
    key: str
    problem: Problem


def findings(
    place: Place, walk: Walk, on_file: Callable[[str, int], None] | None = None
) -> Iterator[Finding]:
    """Yield everything that is not as it was written, in the order of a walk.

    Kinds are ``data`` (bytes are not those of their name), ``commit`` (damaged), ``gone`` (a commit without its bytes),
    ``version`` (damaged), ``published`` (not the bytes on record, or gone) and ``unknown`` (on no record).

    Notes
    -----
    Reads everything once, in pieces of 64 MiB.
    """
    tell = on_file or _silent
    for entry in walk.data:
        yield from _of_data(place, entry)
        tell(entry.key, entry.n_bytes)
    there = {entry.key for entry in walk.data}
    for stem, entry in walk.commits.items():
        yield from _of_commit(place, stem, entry, there)
        tell(entry.key, entry.n_bytes)
    for entry in (entry for of_home in walk.versions.values() for entry in of_home):
        yield from of_version(place, entry)
        tell(entry.key, entry.n_bytes)
    yield from _of_published(place, walk, tell)


def of_version(place: Place, entry: Entry) -> list[Finding]:
    """Return what is wrong with a version of a record or publication; nothing of one that was removed since."""
    try:
        versions.read_version(place, entry.key)
    except NotFoundError:
        return []
    except StoreError as error:
        return [Finding("version", entry.key, problem_of(error, label="record"))]
    return []


def published_digests(place: Place, walk: Walk) -> dict[str, list[str]]:
    """Return the digests that each published file may have, by key; by the newest sound version of each folder."""
    known: dict[str, list[str]] = {}
    for of_home in walk.versions.values():
        for entry in reversed(of_home):
            home, _ = parse_version_key(entry.key) or ("", 0)
            folder = published_folder(home)
            if folder == home:
                break  # a record
            try:
                files = versions.read_version(place, entry.key).content["files"]
            except (NotFoundError, CorruptError):
                continue
            known.update({published_key(folder, name): digests for name, digests in files.items()})
            break
    return known


def _silent(key: str, n_bytes: int) -> None:
    """Tell nobody."""


def _of_data(place: Place, entry: Entry) -> Iterator[Finding]:
    """Yield what is wrong with bytes whose digest stands in their name."""
    parsed = parse_data_key(entry.key)
    wanted = "" if parsed is None else parsed.digest
    try:
        asked_again(partial(_demand, place, entry.key, [wanted]))
    except NotFoundError:
        return  # removed since
    except StoreError as error:
        yield Finding("data", entry.key, problem_of(error, label="file"))


def _of_commit(place: Place, stem: str, entry: Entry, there: set[str]) -> Iterator[Finding]:
    """Yield what is wrong with a commit: itself, or that its bytes are gone."""
    try:
        file = kept.committed(place, stem)
    except NotFoundError:
        return  # removed since
    except StoreError as error:
        yield Finding("commit", entry.key, problem_of(error, label="file"))
        return
    try:
        gone = file.key not in there and place.size(file.key) is None and kept.find(place, file.name) == file
    except CorruptError as error:  # reached through a symbolic link
        yield Finding("gone", entry.key, problem_of(error, label=f"file {file.name!r}"))
        return
    if gone:
        missing = kept.damaged(file.name, place.path(file.key), [file.digest], "no such file")
        yield Finding("gone", entry.key, problem_of(missing, label=f"file {file.name!r}"))


def _of_published(place: Place, walk: Walk, tell: Callable[[str, int], None]) -> Iterator[Finding]:
    """Yield what is wrong with files whose names are for people, and which of them are on no record."""
    known = published_digests(place, walk)
    for key, digests in known.items():
        try:
            if NOT_YET not in digests or place.size(key) is not None:
                asked_again(partial(_demand, place, key, digests))
        except StoreError as error:
            yield Finding("published", key, problem_of(error, label=f"published file {key!r}"))
    for entry in walk.plain:
        tell(entry.key, entry.n_bytes)
        if entry.key not in known:
            problem = unvouched(
                place.path, entry.key, entry.n_bytes, label="file", expected="a file whose digest is known"
            )
            yield Finding("unknown", entry.key, problem)


def _demand(place: Place, key: str, digests: list[str]) -> None:
    """Refuse a file whose bytes have none of some digests."""
    n_bytes = place.size(key)
    if n_bytes is None:
        place.path(key)  # names a symbolic link as such
        place.read(key)
        n_bytes = 0
    hashed = hashlib.sha256()
    for start in range(0, n_bytes, _PIECE_BYTES):
        hashed.update(place.read_ranges(key, [(start, min(start + _PIECE_BYTES, n_bytes))])[0])
    found = hashed.hexdigest()[:DIGEST_DIGITS]
    if found not in digests:
        raise kept.damaged(key, place.path(key), digests, found)
