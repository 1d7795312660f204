"""Opening what lies at a path or URL: a store, or a folder of summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from storage.commits import STORE, STORE_RECORD, make_root, strangers
from storage.errors import FormatError, NotFoundError
from storage.format import read_cached
from storage.place import open_place
from storage.store import Store
from storage.summaries import Summaries

if TYPE_CHECKING:
    from pathlib import Path


def open_store(url: str | Path, *, mode: Literal["r", "a"] = "r", check_reads: bool = True) -> Store:
    """Open a store on a local path or at an ``s3://bucket/prefix``; with ``mode="a"`` make it where there is none.

    Credentials, region and endpoint of an object store come from the environment (``AWS_…``), never from the URL.

    Parameters
    ----------
    mode
        ``"a"`` tries out, before anything else, whether the place can do what writers rely on.
    check_reads
        Hold every chunk that is read against its digest. Without it damage is found by the codec's CRC-32C alone, and
        chunks or files that were swapped are not found; representations say so in their provenance.

    Raises
    ------
    NotFoundError
        ``mode="r"`` and there is nothing.
    FormatError
        Something else is there, a newer format, or a URL of another kind.
    WriteError
        ``mode="a"`` and the place is read-only, full, or does not create files exclusively.
    """
    place = open_place(url)
    there = read_cached(place, STORE_RECORD, kind=STORE) is not None
    is_strange = not there and strangers(place)
    if is_strange:  # files of another process that made the store meanwhile: its record lay there before them
        there = read_cached(place, STORE_RECORD, kind=STORE) is not None
    if mode == "a" and (there or not is_strange):
        place.preflight()
        make_root(place)
        there = True
    if not there:
        if not is_strange:
            raise NotFoundError(
                where=place.url, expected="a store", found="nothing", remedy="Dump activations into it first."
            )
        raise FormatError(
            where=place.url,
            expected=f"a store (with {STORE_RECORD})",
            found="another directory or file",
            remedy="Give the path of a store, or of a new directory to dump into.",
        )
    return Store(place, mode=mode, check_reads=check_reads)


def open_summaries(url: str | Path, *, mode: Literal["r", "a"] = "a") -> Summaries:
    """Open a folder of summaries of its own, such as beside results of a store that cannot be written.

    Parameters
    ----------
    mode
        ``"a"`` tries out first whether the place can do what writers rely on; ``"r"`` does nothing.

    Raises
    ------
    FormatError
        A URL of a kind that is not supported.
    WriteError, UnreachableError
        ``mode="a"`` and the place is read-only, full, or does not create files exclusively.
    """
    place = open_place(url)
    if mode == "a":
        place.preflight()
    return Summaries(place, mode=mode)
