"""Files that are written once under a name: bytes in a file named by their digest, and a commit that says which.

A digest in the file's own name lets anybody check the bytes, but it cannot decide between two writers: the files of two
that computed other bytes have other names, and both would be created. So the commit alone gives a name to bytes. It has
one key per name and is created exclusively: the first writer wins, for good. It also makes looking up a name one read,
however many files lie in the folder. Bytes that no commit names are what a killed writer left; nobody reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.checked_files.keys import commit_key, data_key, decoded, digest_of_data, encoded, parse_data_key
from storage.errors import CorruptError, NotFoundError, WriteError
from storage.format import create_record, read_record
from storage.place import asked_again, read_confirmed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.place import Entry, Place

COMMIT = "commit"
"""Kind of the record that gives a file its name."""

REMEDY = "Repair: it is taken out, and the next run makes it again."
"""What helps where a checked file is damaged."""

_ATTEMPTS = 16


@dataclass(frozen=True, order=True)
class CheckedFile:
    """A file that is kept under a name.

    Attributes
    ----------
    name
        As it was given to `CheckedFiles.write`.
    key
        Where the bytes lie, below the place's root: `Place.path` makes a path or URL of it, for other programs.
    digest
        The first 32 hex digits of the SHA-256 of the bytes; it stands in the key too.
    n_bytes
        How many there are.
    """

    name: str
    key: str
    digest: str
    n_bytes: int


def write(place: Place, name: str, suffix: str, data: bytes) -> CheckedFile:
    """See `CheckedFiles.write`."""
    digest = digest_of_data(data)
    file = CheckedFile(name, data_key(name, digest, suffix), digest, len(data))
    for _ in range(_ATTEMPTS):
        standing = find(place, name)
        made = False
        if standing is None or standing.key == file.key:
            made = _create_data(place, file, data)
            _commit(place, file)
            standing = find(place, name)
        if standing is None:
            continue  # somebody removed the name meanwhile
        if made and standing.key != file.key:
            place.remove(file.key)  # another writer was faster: ours is nobody's
        # They may be another writer's, a moment old: they must be sure to stay before they are relied on.
        if place.make_durable(commit_key(encoded(name))) and place.make_durable(standing.key):
            return standing
        if standing.key != file.key and find(place, name) == standing:
            raise missing(place, standing)
    raise WriteError(
        path=place.path(file.key),
        n_bytes=len(data),
        cause=f"somebody who removed it {_ATTEMPTS} times meanwhile",
        remedy="Run again when nobody removes files.",
    )


def find(place: Place, name: str) -> CheckedFile | None:
    """See `CheckedFiles.find`."""
    try:
        return committed(place, encoded(name))
    except NotFoundError:
        return None


def committed(place: Place, stem: str) -> CheckedFile:
    """Return what the commit of an encoded name says.

    Raises
    ------
    NotFoundError
        There is none.
    CorruptError
        It is damaged, or that of another name.
    """
    key = commit_key(stem)
    said = read_record(place, key, kind=COMMIT)
    file = CheckedFile(said["name"], said["key"], said["digest"], said["n_bytes"])
    parsed = parse_data_key(file.key)
    if parsed is None or (parsed.stem, parsed.digest) != (stem, file.digest) or encoded(file.name) != stem:
        raise CorruptError(
            representation=f"file {file.name!r}",
            row_group=None,
            file=place.path(key),
            expected=f"the commit of {decoded(stem) or stem!r}",
            found=f"that of {file.name!r}",
            remedy=REMEDY,
        )
    return file


def read(place: Place, file: CheckedFile) -> bytes:
    """Return the bytes of a file, held against its digest. Errors as `CheckedFiles.read`."""

    def attempt() -> bytes:
        data = place.read(file.key)
        demand_digest(place, file, digest_of_data(data))
        return data

    try:
        return asked_again(attempt)
    except NotFoundError:
        if find(place, file.name) != file:
            raise  # removed since
    raise missing(place, file)


def demand_digest(place: Place, file: CheckedFile, digest: str) -> None:
    """Refuse bytes that are not those of a file."""
    if digest != file.digest:
        raise damaged(file.name, place.path(file.key), [file.digest], digest)


def damaged(name: str, path: str, digests: Iterable[str], found: str) -> CorruptError:
    """Return the error for bytes that are not those that were written: `found` is their digest."""
    return CorruptError(
        representation=f"file {name!r}",
        row_group=None,
        file=path,
        expected=f"bytes with the digest {' or '.join(filter(None, digests))}",
        found=found,
        remedy=REMEDY,
    )


def listed(place: Place, data: Iterable[Entry], stems: Iterable[str]) -> list[CheckedFile]:
    """Return the files of some committed names, out of a listing of `data`, sorted by name.

    A commit is opened only where the listing leaves open what it says: where the bytes are gone, where a killed writer
    left others beside them, and for names too long for a file's name. Where the right bytes were lost and a killed
    writer's lie there alone, the listing is wrong; `CheckedFiles.find` and `verify` are not.
    """
    by_stem: dict[str, list[tuple[Entry, str]]] = {}
    for entry in data:
        parsed = parse_data_key(entry.key)
        if parsed is not None:
            by_stem.setdefault(parsed.stem, []).append((entry, parsed.digest))
    files = []
    for stem in stems:
        candidates, name = by_stem.get(stem, []), decoded(stem)
        if len(candidates) == 1 and name is not None:
            ((entry, digest),) = candidates
            files.append(CheckedFile(name, entry.key, digest, entry.n_bytes))
            continue
        try:
            files.append(committed(place, stem))
        except NotFoundError:
            continue  # removed since
    return sorted(files)


def remove(place: Place, name: str) -> None:
    """See `CheckedFiles.remove`. The commit goes first, so that none speaks of bytes that are gone."""
    file = find(place, name)
    if file is not None:
        place.remove(commit_key(encoded(name)))
        place.remove(file.key)


def recommit(place: Place, name: str, entry: Entry) -> None:
    """Give a name to bytes that lie there, unless it has others."""
    parsed = parse_data_key(entry.key)
    if parsed is not None:
        _commit(place, CheckedFile(name, entry.key, parsed.digest, entry.n_bytes))


def _commit(place: Place, file: CheckedFile) -> None:
    """Give a file its name, unless another has it."""
    content = {"name": file.name, "key": file.key, "digest": file.digest, "n_bytes": file.n_bytes}
    create_record(place, commit_key(encoded(file.name)), kind=COMMIT, content=content)


def _create_data(place: Place, file: CheckedFile, data: bytes) -> bool:
    """Make the bytes lie under their key; return whether this call created them.

    What a killed writer left there is taken as it is where it is right, and moved away where it is damaged.
    """
    while not place.create(file.key, data):
        try:
            if read_confirmed(place, file.key, wanted=data) == data:
                return False
            place.quarantine(file.key)
        except NotFoundError:
            continue
    return True


def missing(place: Place, file: CheckedFile) -> CorruptError:
    """Return the error for bytes that are gone though their commit is there."""
    return damaged(file.name, place.path(file.key), [file.digest], "no such file")
