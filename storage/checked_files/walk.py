"""All files below the root that are checked files' business, sorted by what their keys say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.checked_files.keys import PUBLISHED, RECORDS, parse_commit_key, parse_data_key
from storage.checked_files.versions import versions_of
from storage.place import COMMITS, PARTIAL, QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from storage.place import Entry, Place


@dataclass(frozen=True)
class Walk:
    """What lies there.

    Attributes
    ----------
    commits
        By the encoded name that each is about.
    data
        Bytes that are named by their digest.
    versions
        Of records and publications, oldest first, by the folder in which they lie.
    plain
        Files that say nothing by their key: published ones, and others.
    partial, quarantined
        Unfinished files of writers, and what repairs took out.
    """

    commits: dict[str, Entry] = field(default_factory=dict)
    data: list[Entry] = field(default_factory=list)
    versions: dict[str, list[Entry]] = field(default_factory=dict)
    plain: list[Entry] = field(default_factory=list)
    partial: list[Entry] = field(default_factory=list)
    quarantined: list[Entry] = field(default_factory=list)


def walk(place: Place, others: Collection[str]) -> Walk:
    """Return what lies below the root, but not below the folders `others`, nor hidden files of other programs."""
    files = Walk()
    versions: list[Entry] = []
    for entry in entries(place, "", others):
        stem = parse_commit_key(entry.key)
        if stem is not None:
            files.commits[stem] = entry
        elif entry.key.startswith((f"{RECORDS}/", f"{PUBLISHED}/")) and versions_of([entry]):
            versions.append(entry)
        elif entry.key.startswith(f"{PARTIAL}/"):
            files.partial.append(entry)
        elif entry.key.startswith(f"{QUARANTINE}/"):
            files.quarantined.append(entry)
        elif parse_data_key(entry.key) is not None:
            files.data.append(entry)
        elif not any(segment.startswith(".") for segment in entry.key.split("/")):
            files.plain.append(entry)
    files.versions.update(versions_of(versions))
    return files


def entries(place: Place, folder: str, others: Collection[str]) -> Iterator[Entry]:
    """Yield every file below a folder; of the root, those below no folder of `others`. Links are not followed."""
    if folder:
        yield from place.entries(folder)
        return
    files = place.files()
    yield from files
    links = {entry.key for entry in files}
    for name in [COMMITS, *place.directories()]:
        if name not in others and name not in links:
            yield from place.entries(name)
