"""Files that other programs read for themselves: held against their digests first, each once in a process."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from storage.checked_files import kept
from storage.checked_files.keys import DIGEST_DIGITS
from storage.errors import NotFoundError
from storage.place import asked_again

if TYPE_CHECKING:
    from storage.checked_files.kept import CheckedFile
    from storage.place import Place

PIECE_BYTES = 1 << 24

_sound: dict[tuple[str, str], tuple[int | str, ...]] = {}
"""The version of each file that was found sound in this process, by place and key."""


def demand_sound(place: Place, file: CheckedFile) -> None:
    """See `CheckedFiles.demand_sound`."""
    about = (place.url, file.key)
    version = place.version(file.key)
    if version is not None and _sound.get(about) == version:
        return
    try:
        asked_again(partial(_demand, place, file))
    except NotFoundError:
        if kept.find(place, file.name) != file:
            raise  # removed since
        raise kept.missing(place, file) from None
    # What changed while it was read has another version by now, and is read again the next time.
    if version is not None:
        _sound[about] = version


def _demand(place: Place, file: CheckedFile) -> None:
    hashed, at = hashlib.sha256(), 0
    while at < file.n_bytes or at == 0:
        (piece,) = place.read_ranges(file.key, [(at, at + PIECE_BYTES)])
        hashed.update(piece)
        at += len(piece)
        if len(piece) < PIECE_BYTES:
            break
    kept.demand_digest(place, file, hashed.hexdigest()[:DIGEST_DIGITS])
