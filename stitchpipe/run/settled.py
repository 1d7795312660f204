"""Whether a command has nothing to do, answered by a listing: the run as it was left, and nothing else changed.

Files of a run and its store are written once under names that follow from their digests. So the names and sizes of all
of them stand for their contents; with the declaration, the stamp of what lies outside (`stitchpipe.run.inputs`) and the
code, they stand for what a command would find. A command that ends with everything done puts their digest on record,
and the next one that finds the same digest is done. Anything else is looked into for real: a digest never says that
something is there which is not, only that nothing changed since all was there.

Bytes that were damaged in place under the same size are not noticed here, as little as by any command that does not
read them; `stitchpipe verify` reads everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config import declared_toml
from stitchpipe.run.file_names import REPORT
from stitchpipe.run.inputs import sweep_stamp, versions
from stitchpipe.run.inventory import covers
from stitchpipe.run.place import STORE
from storage import digest_of, open_place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stitchpipe.config import Sweep
    from stitchpipe.run.place import RunPlace
    from storage import Entry

RECORD: Final = "settled"
_PASSING: Final = (
    "commits/records/claims/",
    "commits/records/inventory/",
    "commits/records/units/",
    "commits/records/settled/",
    "commits/records/times/",
    "commits/records/declared/",
    "commits/partial/",
    "commits/files/sweeps/",
    "sweeps/",
    f"{STORE}/commits/partial/",
)
"""What says who works and how long it took, and unfinished files: no result depends on them."""
_OF_THE_REPORT: Final = (f"{REPORT}/", f"commits/published/{REPORT}/")
_REPLACED: Final = (f"{REPORT}/", "sweep.toml")
"""Files whose names do not tell their contents: their times count too."""


@dataclass(frozen=True)
class Settled:
    """What is on record of finished commands of a sweep in its place."""

    sweep: Sweep
    place: RunPlace

    def stamp(self) -> str | None:
        """Return what everything but the run's own files comes to; None where that cannot be said.

        To be taken before a command begins: what changes meanwhile must not be taken for what it worked on.
        """
        outside = sweep_stamp(self.sweep)
        if outside is None:
            return None
        return digest_of([declared_toml(self.sweep), outside, versions(), _code()])

    def found(self, steps: Collection[str]) -> Mapping[str, Any] | None:
        """Return what is on record of a command that took these steps last, if it would find the same; or None.

        Two listings where the store lies elsewhere, one where it lies in the run, and a small record.
        """
        record = self.place.files.record(RECORD)
        if record is None or not set(steps) <= record["steps"].keys():
            return None
        stamp = self.stamp()
        if stamp is None:
            return None
        now = _digests(stamp, self._entries())
        return record if all(record["steps"][step] == now[step == "report"] for step in steps) else None

    def note(self, steps: Collection[str], stamp: str | None, failed: Mapping[str, Any]) -> None:
        """Put on record that some steps are done, but for what failed by itself; `stamp` was taken before they began.

        Nothing is noted where something changed meanwhile, nor of a report whose inventory lacks what is there.
        """
        if stamp is None or self.stamp() != stamp:
            return
        entries = self._entries()
        # Listings of a bucket may lag behind: what the inventory does not name yet is looked into by the next command.
        if "report" in steps and not covers(self.place, entries):
            return
        now = _digests(stamp, entries)
        mine = {step: now[step == "report"] for step in steps}
        # Other steps may be settled too, under the same listing or under one that will not come again.
        self.place.files.update_record(
            RECORD,
            lambda before: {"steps": {**((before or {}).get("steps") or {}), **mine}, "failed": dict(failed)},
        )

    def _entries(self) -> list[Entry]:
        store = self.sweep.store.url or self.place.store_url
        entries = list(self.place.files.place.entries())
        if store != f"{self.place.url}/{STORE}":
            entries += open_place(store).entries()
        return entries


def _digests(stamp: str, there: Iterable[Entry]) -> tuple[str, str]:
    """Return the digest of everything but the report, and of everything."""
    entries = [entry for entry in there if not entry.key.startswith(_PASSING)]
    without = [entry for entry in entries if not entry.key.startswith(_OF_THE_REPORT)]
    return _digest(stamp, without), _digest(stamp, entries)


def _digest(stamp: str, entries: Iterable[Entry]) -> str:
    digest = sha256(stamp.encode())
    for entry in sorted(entries):
        written = entry.modified_s if entry.key.startswith(_REPLACED) else ""
        digest.update(f"{entry.key}\0{entry.n_bytes}\0{written}\n".encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    """Return a digest of the code that makes results: a version alone does not tell what is being worked on."""
    digest, home = sha256(), Path(__file__).parent.parent
    for room in (home, home.parent / "storage"):
        for path in sorted(room.rglob("*.py")):
            digest.update(str(path.relative_to(home.parent)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
