"""Files in a store that no writer of stores makes: told by their names alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from storage.place import COMMITS, PARTIAL, QUARANTINE
from storage.problems import unvouched
from storage.summaries import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.place import Place
    from storage.problems import Problem

_VECTOR: Final = r"(?:zarr\.json|c(?:/\d+)*)"
_OF_LAYERS: Final = rf"zarr\.json|activations/(?:zarr\.json|c[./0-9]*)|(?:sample_id|label|sealed)/{_VECTOR}"
_RECORDS_OF_DUMPS: Final = (
    r"zarr\.json|c|dump\.json|retired-\d+\.json|[0-9a-f]+/(?:row-group-\d+|manifest)\.json"
)
_OURS: Final = re.compile(
    rf"zarr\.json|{COMMITS}/(?:zarr\.json|c|store\.json)|{SUMMARIES}/[^/]+/[^/]+|(?:{PARTIAL}|{QUARANTINE})/.+"
    r"|[^/]+/zarr\.json|[^/]+/[^/]+/zarr\.json"
    rf"|[^/]+/[^/]+/{COMMITS}/(?:zarr\.json|c|split\.json)"
    rf"|[^/]+/[^/]+/(?:sample_id|label|original_index|row_group|group)/{_VECTOR}"
    rf"|[^/]+/[^/]+/[^/]+~[^/]+/(?:zarr\.json|{COMMITS}/(?:{_RECORDS_OF_DUMPS})|[^/]+/(?:{_OF_LAYERS}))"
)


def strangers_in(place: Place, but: Iterable[Problem] = ()) -> list[Problem]:
    """Return the files that are nobody's, `but` for those of known problems and hidden ones of other programs.

    One listing of the store.
    """
    known, strangers = {problem.file for problem in but}, []
    for entry in place.entries():
        is_hidden = any(segment.startswith(".") for segment in entry.key.split("/"))
        if not is_hidden and not _OURS.fullmatch(entry.key):
            strangers.append(
                unvouched(
                    place.path, entry.key, entry.n_bytes, label="store", expected="a file that a store has"
                )
            )
    return [problem for problem in strangers if problem.file not in known]
