"""What a night leaves, and what of it should not be: by the functions that `stitchpipe verify` and `gc` call."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError
from stitchpipe.run.inventory import gone
from stitchpipe.run.place import STORE, RunPlace
from stitchpipe.steps import maintenance
from storage import digest_of
from tests.nights import standins, units

PASSING = ("agendas/", "claims/", "inventory", "settled", "times", "units/", "compacted-results")
"""Records that say who worked, when, or in which order parts were merged: no result depends on them."""

PASSING_FILES = ("results/", "training/")
"""Files that are compared by what they say, and states that a process left which was killed when it had its weights."""

KEPT = ("commits/files", "commits/records", "commits/published")
FORGOTTEN = (
    "commits/files/training/",
    *(f"commits/records/{name}/" for name in ("claims", "units", "settled", "times", "inventory")),
)
"""What an inventory is about, and what of it may go in the course of things."""

PARTIAL = "commits/partial"
WORK = f"{STORE}/commits/summaries/work/"
DAYS_S = 4 * 86400.0
"""How long after a night its leftovers are collected: longer than a lease, and than clocks are off."""


def state(medium):
    """Return name → digest of everything that a run leaves for its reader."""
    place = RunPlace.at(medium.url)
    files = place.files
    found = {file.name: file.digest for file in files.listing() if not file.name.startswith(PASSING_FILES)}
    for name, content in files.records().items():
        if not name.startswith(PASSING):
            found[f"record {name}"] = digest_of(content)
    for name in ("index.html", "findings.json"):
        found[f"report {name}"] = digest_of(files.read_published("report", name).decode())
    found["results"] = units.table_text(place)
    return found | {
        key: digest
        for key, digest in medium.digests(STORE).items()
        if f"/{PARTIAL}/" not in key and not key.startswith(WORK)
    }


def unfinished(medium):
    """Return the unfinished files and signs of life that lie there now."""
    return {*medium.digests(PARTIAL), *medium.digests(f"{STORE}/{PARTIAL}")}


def judged(world, medium, before):
    """Return the state after the last trigger, and what should not be; `before`: what was unfinished before it."""
    try:
        found = state(medium)
        # The sign of life of a worker whose goodbye takes too long stays, until gc.
        new = sorted(key for key in unfinished(medium) - before if "/signs/" not in key)
        problems = [f"left unfinished by the last trigger: {key}" for key in new]
        problems += _verified(medium) + _collected(world, medium, found) + _missed(world, medium)
    except ExplainedError as error:
        return {}, [f"unreadable: {error}"]
    return found, problems


def _verified(medium):
    standins.as_a_new_process()
    verdict = maintenance.verify(medium.url, model=None, sample="100%", progress=lambda *_: None)
    taken = [] if verdict.misses_nothing else ["no inventory was taken"]
    return taken + [f"verify: {problem}" for problem in verdict.problems]


def _collected(world, medium, before):
    """Days later, garbage collection takes what kills left, all of it, and nothing else."""
    world.now_s += DAYS_S
    maintenance.garbage(medium.url, older_than="1d").remove(quarantined=True)
    left = [*unfinished(medium), *(key for key in medium.digests(STORE) if key.startswith(WORK))]
    if again := maintenance.garbage(medium.url, older_than="1d").n_bytes:
        left.append(f"{again} bytes of garbage")
    problems = [f"left behind by gc: {key}" for key in left]
    if state(medium) != before:
        problems.append("gc took something that counts")
    return problems


def _missed(world, medium):
    """Whether the inventory misses a commit or a record that somebody removes, whichever it is."""
    there = [key for home in KEPT for key in medium.digests(home) if not key.startswith(FORGOTTEN)]
    chosen = world.random.choice(sorted(there))
    medium.take_away(chosen)
    missed = any(chosen in problem.file for problem in gone(RunPlace.at(medium.url)))
    return [] if missed else [f"nobody missed {chosen}"]
