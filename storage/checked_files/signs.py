"""Signs of life: files that change for as long as a process lives, judged by the clock of the place they lie in.

A process that works on something gives a sign every few seconds. Whoever wonders if it still lives gives a sign of his
own and compares the times of both: the place, not the machine, says when a file was written, so that the clocks of
machines do not matter. Signs lie among unfinished files, where no reader looks, `verify` finds nothing amiss, and `gc`
removes what is left of the dead. A sign may say how far the work is; that is for people, and nothing is decided by it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from storage.errors import NotFoundError
from storage.place import PARTIAL, decode_name, encode_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place

SIGNS: Final = f"{PARTIAL}/signs"
"""Where they lie."""


def give(place: Place, name: str, saying: Mapping[str, Any] | None = None) -> None:
    """Give a sign of life that says a JSON object; errors as `Place.replace`."""
    # The bytes differ each time, so that a bucket gives the file another tag and another time.
    told = json.dumps({"at_ns": time.time_ns(), "saying": dict(saying or {})})
    place.replace(_key(name), f"{told}\n".encode())


def said(place: Place, name: str) -> Mapping[str, Any]:
    """Return what a sign said last; nothing where it is gone or was never whole. One read; errors as `Place.read`."""
    with suppress(NotFoundError, ValueError, KeyError, TypeError):
        return dict(json.loads(place.read(_key(name)))["saying"])
    return {}


def times(place: Place) -> dict[str, float]:
    """Return when each sign was given last, in seconds by the clock of the place. One listing."""
    signs = ((decode_name(entry.key.removeprefix(f"{SIGNS}/")), entry) for entry in place.entries(SIGNS))
    return {name: entry.modified_s for name, entry in signs if name is not None}


def stop(place: Place, name: str) -> None:
    """Remove a sign: its process ends in order."""
    place.remove(_key(name))


def _key(name: str) -> str:
    return f"{SIGNS}/{encode_name(name)}"
