"""The census: rows are committed as they come, and a census that was cut short goes on with the networks it lacks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from stitchpipe.census.examination import examined
from stitchpipe.census.processes import Limits, rows
from stitchpipe.census.row import Row
from stitchpipe.census.subjects import matching, subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage import CheckedFiles

FOLDER: Final = "census"
LIBRARIES: Final = ("torch", "torchvision", "timm", "transformers")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which networks a census looks at, and for how long.

    Attributes
    ----------
    match
        Globs over names; none for all.
    limit
        How many networks at most; None for all.
    hours
        After which none is begun any more; None for no end.
    jobs
        Networks at once.
    again
        Look again at networks that have a row.
    """

    match: Sequence[str] = ()
    limit: int | None = None
    hours: float | None = None
    jobs: int = 1
    again: bool = False
    limits: Limits = field(default_factory=Limits)


def take(files: CheckedFiles, scope: Scope, report: Callable[[Row, int, int], None]) -> None:
    """Look at every network of the scope that has no row yet, and leave its row in `files`.

    Parameters
    ----------
    report
        Called with each new row, how many networks of the scope have one now, and how many there are.

    Raises
    ------
    CensusError
        A glob matches no network.
    """
    known = subjects()
    wanted = matching(known, scope.match) if scope.match else known
    wanted = wanted[: scope.limit]
    running = versions()
    there = set() if scope.again else {row.name for row in taken(files) if row.versions == running}
    missing = [subject for subject in wanted if subject.name not in there]
    until = float("inf") if scope.hours is None else time.monotonic() + 3600 * scope.hours
    done = len(wanted) - len(missing)
    for row in rows(missing, examined, scope.limits, scope.jobs, until):
        found = replace(row, versions=running)
        files.put_record(f"{FOLDER}/{row.name}", found.to_dict())
        done += 1
        report(found, done, len(wanted))


def taken(files: CheckedFiles) -> list[Row]:
    """Return the rows that are there, sorted by name; those of another version of the record are left out."""
    records = files.records(FOLDER)
    found = (Row.from_dict(record) for _, record in sorted(records.items()))
    return [row for row in found if row is not None]


def versions() -> str:
    """Return the versions of the libraries that networks come from; rows of others are made again."""
    return ", ".join(f"{name} {known}" for name in LIBRARIES if (known := _version(name)))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
