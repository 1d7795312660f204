"""Sweeps that a run keeps in its place, so that units of work on any machine read the declaration from there.

A sweep is known by text: the path of a file, the name of one that is shipped, the URL of one that lies in a bucket, or
``run:NAME`` for one that the run keeps itself. Whoever begins a run resolves the first three once, and keeps what they
say, with every default and with absolute paths, as a file of the run.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stitchpipe.config import ConfigError, Sweep, declared_toml, load, parse
from stitchpipe.run.kept_declarations import RECORDS, file_of, kept_records
from stitchpipe.run.names import unit_record
from stitchpipe.run.place import DECLARATION, PlaceError
from storage import NotFoundError, digest_of, open_place

if TYPE_CHECKING:
    from stitchpipe.run.place import RunPlace

KEPT: Final = "run:"
"""Stands before the name of a sweep that is read from the run's place."""
_FOLDER: Final = "sweeps"


def opened_sweep(source: Sweep | str, place: RunPlace) -> Sweep:
    """Return the sweep that a text stands for; one that is a sweep already is returned as it is.

    Raises
    ------
    ConfigError
        There is none, or it is not valid.
    storage.UnreachableError
        The place that it lies in does not answer.
    """
    if isinstance(source, Sweep):
        return source
    if source.startswith(KEPT):
        text = place.files.read(source.removeprefix(KEPT)).decode()
        return parse(text, where=source, folder=Path())
    return _at_url(source) if "://" in source or source.startswith("file:") else load(source)


def keep_sweep(sweep: Sweep, place: RunPlace) -> str:
    """Keep a sweep among the run's files, and return the text by which it is found there.

    That it is the one of its name that was asked for last is put on record, see `kept_sweep`.
    """
    text = declared_toml(sweep)
    name = f"{_FOLDER}/{digest_of(text)[:16]}"
    place.files.write(name, ".toml", text.encode())
    record = {"sweep": sweep.name, "part_of": sweep.part_of, "file": name, "kept_s": time.time()}
    place.files.put_record(unit_record(RECORDS, sweep.name), record)
    return KEPT + name


def kept_sweep(place: RunPlace, name: str | None = None) -> Sweep:
    """Return a sweep that a run keeps, as it was declared last.

    Parameters
    ----------
    name
        The sweep's; default: the one that was worked on last, of those that are no part of another.

    Raises
    ------
    stitchpipe.run.PlaceError
        The run keeps none, or none of that name.
    """
    records = kept_records(place)
    file = file_of(records, name)
    if file is not None:
        return opened_sweep(KEPT + file, place)
    # A dump that no command line began leaves its declaration too.
    text = place.declaration()
    dumped = None if text is None else parse(text, where=f"{place.url}/{DECLARATION}", folder=Path())
    if dumped is not None and name in (None, dumped.name):
        return dumped
    known = [record["sweep"] for record in records] or ([] if dumped is None else [dumped.name])
    raise PlaceError(
        where=place.url,
        expected="the declaration of a sweep, which a run keeps" if name is None else f"a sweep '{name}'",
        found=f"only {', '.join(known)}" if known else "none",
        remedy="Name one of these." if known else "Give the sweep's file, and this place as --out.",
    )


def _at_url(url: str) -> Sweep:
    """Read a sweep at a URL; relative paths in it start at this process's folder."""
    folder, _, name = url.rpartition("/")
    if folder.startswith("file:"):
        folder = "/" + folder.removeprefix("file:").lstrip("/")
    try:
        text = open_place(folder).read(name).decode()
    except NotFoundError:
        raise ConfigError(
            where=url,
            expected="a sweep file",
            found="none",
            remedy="Give the URL of a TOML file, the path of one, or the name of a shipped sweep.",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            where=url,
            expected="a sweep file in UTF-8",
            found=f"text that is not UTF-8, at byte {error.start}",
            remedy="Save it as UTF-8 without a byte order mark.",
        ) from None
    return parse(text, where=url, folder=Path(folder) if folder.startswith("/") else Path())
