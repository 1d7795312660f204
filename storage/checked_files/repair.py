"""Taking out what is damaged, so that the next run finds it missing and makes it again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from storage.checked_files import kept
from storage.checked_files.check import findings
from storage.checked_files.keys import PUBLISHED, commit_key, decoded, parse_data_key
from storage.checked_files.published import published_key
from storage.checked_files.versions import Versions
from storage.errors import NotFoundError, StoreError, SymlinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from storage.checked_files.check import Finding
    from storage.checked_files.walk import Walk
    from storage.place import Entry, Place
    from storage.problems import Problem


@dataclass
class FileRepair:
    """What a repair of checked files did.

    Attributes
    ----------
    problems
        What was wrong.
    quarantined
        Keys of what was taken out: the next run makes it again.
    restored
        Keys of the commits that were made again, from bytes that bear out their name.
    left
        What only people can decide: files that nothing vouches for, links.
    """

    problems: list[Problem] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


def repair(place: Place, walk: Walk, on_file: Callable[[str, int], None] | None = None) -> FileRepair:
    """See `CheckedFiles.repair`."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    done = FileRepair()
    for finding in findings(place, walk, on_file):
        by_kind[finding.kind].append(finding)
        done.problems.append(finding.problem)
    _take_out_data(place, by_kind["data"], done)
    for finding in by_kind["gone"]:
        _take_out(place, finding.key, finding.problem, done)
    damaged = {finding.key for finding in by_kind["data"]}
    _mend_commits(place, walk, by_kind["commit"], damaged, done)
    _take_out_versions(place, walk, by_kind["version"], done)
    _take_out_published(place, by_kind["published"], done)
    done.left += [finding.problem for finding in by_kind["unknown"]]
    return done


def _take_out(place: Place, key: str, problem: Problem, done: FileRepair) -> None:
    """Quarantine a file, if it is there; what is reached through a link is left to people."""
    try:
        place.quarantine(key)
    except NotFoundError:
        return
    except SymlinkError:
        done.left.append(problem)
        return
    done.quarantined.append(key)


def _take_out_data(place: Place, findings: list[Finding], done: FileRepair) -> None:
    """Take out damaged bytes, and the commit that names them: the name is free again."""
    for finding in findings:
        _take_out(place, finding.key, finding.problem, done)
        parsed = parse_data_key(finding.key)
        try:
            named = parsed is not None and kept.committed(place, parsed.stem).key == finding.key
        except StoreError:
            continue  # without a commit, or with a damaged one, which is a finding of its own
        if parsed is not None and named:
            _take_out(place, commit_key(parsed.stem), finding.problem, done)


def _mend_commits(
    place: Place, walk: Walk, findings: list[Finding], damaged: Collection[str], done: FileRepair
) -> None:
    """Take out damaged commits, and make each again where one file bears its name.

    Where several do, a killed writer's lies beside the right one. Nobody knows which is which: the next run decides.
    """
    sound: dict[str, list[Entry]] = defaultdict(list)
    for entry in walk.data:
        parsed = parse_data_key(entry.key)
        if parsed is not None and entry.key not in damaged:
            sound[parsed.stem].append(entry)
    stems = {entry.key: stem for stem, entry in walk.commits.items()}
    for finding in findings:
        _take_out(place, finding.key, finding.problem, done)
        stem = stems[finding.key]
        name = decoded(stem)
        if name is not None and len(sound[stem]) == 1 and finding.key in done.quarantined:
            kept.recommit(place, name, sound[stem][0])
            done.restored.append(finding.key)


def _take_out_versions(place: Place, walk: Walk, findings: list[Finding], done: FileRepair) -> None:
    """Take out damaged versions.

    Where the newest version of a record is damaged the older ones go with it: what was true once must not come back as
    if it were true now. Of publications they stay, because each speaks of bytes that are held against it.
    """
    problems = {finding.key: finding.problem for finding in findings}
    for home, entries in walk.versions.items():
        bad = [entry.key for entry in entries if entry.key in problems]
        if bad and entries[-1].key in bad and not f"{home}/".startswith(f"{PUBLISHED}/"):
            problem = problems[entries[-1].key]
            bad = [entry.key for entry in entries]
            problems = {**dict.fromkeys(bad, problem), **problems}
        for key in bad:
            _take_out(place, key, problems[key], done)


def _take_out_published(place: Place, findings: list[Finding], done: FileRepair) -> None:
    """Take out published files that are not what is on record, and take them off the record."""
    bad = {finding.key for finding in findings}
    for finding in findings:
        _take_out(place, finding.key, finding.problem, done)
    folders = {folder for key in bad for folder in _folders_above(key)}
    for folder in sorted(folders):
        versions = Versions(place, "publication", folder)
        if versions.newest() is not None:
            versions.update(partial(_without, folder=folder, bad=bad))


def _folders_above(key: str) -> list[str]:
    """Return the folders that a key lies in, at any depth; the root is ``""``."""
    segments = key.split("/")
    return ["/".join(segments[:depth]) for depth in range(len(segments))]


def _without(before: Mapping[str, Any] | None, *, folder: str, bad: Collection[str]) -> dict[str, Any]:
    """Return what a publication says, but for some files."""
    files: Mapping[str, Any] = {} if before is None else before["files"]
    return {"files": {name: known for name, known in files.items() if published_key(folder, name) not in bad}}
