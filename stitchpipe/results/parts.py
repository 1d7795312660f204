"""Which files make up the results: the parts of single units of work, and the compacted files that superseded others.

A compaction writes files under names that nobody else has, then a record that names them and what they supersede, and
removes that. The record alone decides: compacted files that it does not name are a killed compaction's, and parts that
it names are in the compacted files. So at no moment a number is missing, and none is there twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from storage import CheckedFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFiles

FOLDER: Final = "results/"
COMPACTED: Final = f"{FOLDER}compacted-"
"""How the names of compacted files begin."""
RECORD: Final = "compacted-results"
"""The record of the compacted files."""


@dataclass(frozen=True)
class Compaction:
    """What the record says.

    Attributes
    ----------
    files
        The compacted files.
    superseded
        Names of the files whose numbers they hold, of the newest compaction: it may have been killed before it had
        removed them all.
    """

    files: tuple[CheckedFile, ...] = ()
    superseded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, files: CheckedFiles) -> Compaction:
        """Read the record. One listing, and one read where anything was compacted."""
        return cls.from_record(files.record(RECORD))

    @classmethod
    def from_record(cls, content: Mapping[str, Any] | None) -> Compaction:
        """Return what a record says; where there is none, that nothing is compacted."""
        said = content or {"files": [], "superseded": []}
        return cls(tuple(CheckedFile(*file) for file in said["files"]), frozenset(said["superseded"]))

    def to_record(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "files": [[file.name, file.key, file.digest, file.n_bytes] for file in self.files],
            "superseded": sorted(self.superseded),
        }


def leftover_names(files: CheckedFiles) -> set[str]:
    """Return the names of result files that are nobody's: superseded ones, gone or not, and what was cut short left."""
    parts = Parts.of(files)
    return {*parts.compaction.superseded, *(part.name for part in parts.leftovers)} - {
        part.name for part in parts.all
    }


@dataclass(frozen=True)
class Parts:
    """The files that make up the results at some moment.

    Attributes
    ----------
    single
        Parts of single units of work, sorted by name.
    compacted
        Files that hold the numbers of many.
    compaction
        What was on record.
    leftovers
        What lies there and is no part of the results: superseded, or left by a killed compaction.
    """

    single: tuple[CheckedFile, ...]
    compacted: tuple[CheckedFile, ...]
    compaction: Compaction
    leftovers: tuple[CheckedFile, ...]

    @property
    def all(self) -> list[CheckedFile]:
        """Every file, compacted ones first."""
        return [*self.compacted, *self.single]

    @classmethod
    def of(cls, files: CheckedFiles) -> Parts:
        """List what is there. Three listings, two reads."""
        before = None
        while True:
            # First the listing, then the record: what a compaction removes in between is in the files that the record
            # names by then. The other way round its numbers would be in neither.
            there = {file.name: file for file in files.listing(FOLDER.rstrip("/"))}
            compaction = Compaction.of(files)
            # A listing that lags behind does not show what the record names.
            unlisted = [file for file in compaction.files if file.name not in there]
            there |= {file.name: file for file in unlisted if files.find(file.name) == file}
            is_whole = all(file.name in there for file in compaction.files)
            if is_whole or compaction == before:
                return cls._of(there, compaction, is_whole=is_whole)
            before = compaction

    @classmethod
    def _of(cls, there: Mapping[str, CheckedFile], compaction: Compaction, *, is_whole: bool) -> Parts:
        # A repair that takes out a damaged compacted file gives back its numbers to the next run, which writes parts
        # of the same names as those that were superseded: they count then.
        superseded = compaction.superseded if is_whole else frozenset[str]()
        named = {file.name for file in compaction.files}
        single = [name for name in there if not name.startswith(COMPACTED) and name not in superseded]
        compacted = [name for name in there if name in named]
        visible = {*single, *compacted}
        return cls(
            tuple(there[name] for name in single),
            tuple(there[name] for name in compacted),
            compaction,
            tuple(file for name, file in there.items() if name not in visible),
        )
