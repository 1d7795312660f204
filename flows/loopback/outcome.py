"""What a run has left in its place: numbers, their digest, what lies where it must not, secrets that leaked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from stitchpipe.run.ledger import Ledger
from storage import open_place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stitchpipe.run import RunPlace

#: Endings of files that only a run's place may hold.
_OF_A_RUN = (".parquet", ".safetensors", "zarr.json", "index.html", "sweep.toml")


def digest_of(place: RunPlace) -> tuple[int, str]:
    """Return how many numbers a run has, and the digest of all of them: equal where each is the same to the bit."""
    rows = place.results.read()
    # Parquet parts are read in any order; floats are written with all of their bits.
    lines = sorted(
        "\t".join(value.hex() if isinstance(value, float) else repr(value) for value in row)
        for row in rows.astype(object).itertuples(index=False)
    )
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()


def done_in(place: RunPlace) -> dict[str, float]:
    """Return the units that are done, and when each was begun."""
    outcomes = Ledger(place.files).outcomes().values()
    return {outcome.unit: outcome.begun_s for outcome in outcomes if outcome.state == "done"}


def strays(directory: Path, *, but: Iterable[Path]) -> list[str]:
    """Return the files below a directory that belong into a run's place, `but` for those below some folders."""
    allowed = tuple(but)
    return [
        str(path)
        for path in sorted(directory.rglob("*"))
        if path.name.endswith(_OF_A_RUN) and not any(path.is_relative_to(folder) for folder in allowed)
    ]


def leaks_on_disk(secrets: Iterable[str], directory: Path) -> list[str]:
    """Return every file below a directory that holds a secret.

    Prefect's worker hands the environment to a run in a file that nobody else may read, in its temporary folder; a
    worker that was killed leaves it there. Such files are not counted.
    """
    known = [secret.encode() for secret in secrets]
    return [
        str(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not _is_handed_over(path) and _holds(path.read_bytes(), known)
    ]


def leaks_in(secrets: Iterable[str], place: RunPlace) -> list[str]:
    """Return every file in a run's place that holds a secret."""
    known = [secret.encode() for secret in secrets]
    run = open_place(place.url)
    return [run.path(entry.key) for entry in run.entries() if _holds(run.read(entry.key), known)]


def _is_handed_over(path: Path) -> bool:
    folder = path.parent
    is_private = not (path.stat().st_mode | folder.stat().st_mode) & 0o077
    return folder.name.startswith("prefect-workspace-attempt-") and is_private


def _holds(data: bytes, secrets: list[bytes]) -> bool:
    return any(secret in data for secret in secrets)
