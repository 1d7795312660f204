"""Signs of life: files that change for as long as a process lives, judged by the clock of the place they lie in.

A process that works on something gives a sign every few seconds. Whoever wonders if it still lives gives a sign of his
own and compares the times of both: the place, not the machine, says when a file was written, so that the clocks of
machines do not matter. Signs lie among unfinished files, where no reader looks, `verify` finds nothing amiss, and `gc`
removes what is left of the dead.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from storage.place import PARTIAL, decode_name, encode_name

if TYPE_CHECKING:
    from storage.place import Place

SIGNS: Final = f"{PARTIAL}/signs"
"""Where they lie."""


def give(place: Place, name: str) -> None:
    """Give a sign of life; errors as `Place.replace`."""
    # The bytes differ each time, so that a bucket gives the file another tag and another time.
    place.replace(_key(name), f"{time.time_ns()}\n".encode())


def times(place: Place) -> dict[str, float]:
    """Return when each sign was given last, in seconds by the clock of the place. One listing."""
    signs = ((decode_name(entry.key.removeprefix(f"{SIGNS}/")), entry) for entry in place.entries(SIGNS))
    return {name: entry.modified_s for name, entry in signs if name is not None}


def stop(place: Place, name: str) -> None:
    """Remove a sign: its process ends in order."""
    place.remove(_key(name))


def _key(name: str) -> str:
    return f"{SIGNS}/{encode_name(name)}"
