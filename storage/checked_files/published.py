"""Files under a name made for people, such as ``report/index.html``: replaced whole, their digests on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.checked_files.kept import damaged
from storage.checked_files.keys import digest_of_data, plain_key
from storage.checked_files.versions import Version, Versions
from storage.errors import NotFoundError, WriteError
from storage.place import asked_again, read_confirmed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place

NOT_YET = ""
"""Stands among the digests of a file that may not be there yet."""

_ATTEMPTS = 16


def publish(place: Place, folder: str, files: Mapping[str, bytes]) -> None:
    """See `CheckedFiles.publish`.

    A file and the record of its digest cannot change in one act. So a first version says that each file may be the old
    or the new one, then the files are replaced, then a last version says that they are the new ones: wherever this is
    cut short the record speaks the truth. If another publisher's version comes between, all of it is done again.
    """
    wanted = {name: [digest_of_data(data)] for name, data in files.items()}
    keys = {name: published_key(folder, name) for name in files}
    versions = Versions(place, "publication", folder)
    for _ in range(_ATTEMPTS):
        if _is_published(place, keys, files, _digests(versions.newest()), wanted):
            return
        begun = versions.update(lambda before: {"files": _either(before, wanted)})
        for name, data in files.items():
            place.replace(keys[name], data)
        done = Version(folder, begun.number + 1, {"files": {**begun.content["files"], **wanted}})
        if versions.create(done):
            return
    raise WriteError(
        path=place.path(folder),
        n_bytes=sum(map(len, files.values())),
        cause=f"others who published there {_ATTEMPTS} times meanwhile",
        remedy="Run again when fewer publish there.",
    )


def read_published(place: Place, folder: str, name: str) -> bytes:
    """See `CheckedFiles.read_published`."""
    digests = _digests(Versions(place, "publication", folder).newest()).get(name)
    key = published_key(folder, name)
    if digests is None:
        raise NotFoundError(
            where=place.path(key),
            expected="a published file",
            found="none",
            remedy="It was never published here, or was taken out by a repair.",
        )

    def attempt() -> bytes:
        data = place.read(key)
        if digest_of_data(data) not in digests:
            raise damaged(key, place.path(key), digests, digest_of_data(data))
        return data

    return asked_again(attempt)


def published_key(folder: str, name: str) -> str:
    """Return the key of a published file. `LayoutError` where a name is not plain."""
    return plain_key(f"{folder}/{name}" if folder else name)


def _either(before: Mapping[str, Any] | None, wanted: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return digests of which each file has one while it is replaced: those wanted, and those it had before.

    A file that is published for the first time may not be there yet.
    """
    old: Mapping[str, list[str]] = {} if before is None else before["files"]
    either = {name: sorted({*digests, *old.get(name, [NOT_YET])}) for name, digests in wanted.items()}
    return {**old, **either}


def _digests(version: Version | None) -> Mapping[str, list[str]]:
    """Return what a version says of each file: the digests that it may have."""
    return {} if version is None else version.content["files"]


def _is_published(
    place: Place,
    keys: Mapping[str, str],
    files: Mapping[str, bytes],
    digests: Mapping[str, list[str]],
    wanted: Mapping[str, list[str]],
) -> bool:
    """Return whether the files lie there already, on record: publishing the same again then writes nothing."""
    if any(digests.get(name) != new for name, new in wanted.items()):
        return False
    try:
        return all(read_confirmed(place, keys[name], wanted=data) == data for name, data in files.items())
    except NotFoundError:
        return False
