"""Looks at a run in its folder or bucket: the place, its store, its claims, its units, what was left behind."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.place import DECLARATION, STORE, RunPlace
from stitchpipe.sizes import size_of
from stitchpipe.steps import maintenance
from stitchpipe.steps.checkup.check import Look, checks_of, ok, problem, warning
from stitchpipe.steps.checkup.machine import disk
from storage import decode_name, open_place, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stitchpipe.run.ledger import Outcome
    from stitchpipe.steps.checkup.check import Check

_SUBJECT: Final = "run"
_PATIENCE_S: Final = 5.0
"""How long a bucket is asked for its first answer; what follows asks a place that has answered."""
_LONG_S: Final = 30.0
"""For looks that list everything."""
_SKEW_S: Final = 5.0
_SHOWN: Final = 3
"""How many units, files or dumps are named where there are more."""


def checks_of_run(place: str) -> list[Check]:
    """Look at a run; where its place does not answer, that is all that is found."""
    reached = checks_of((Look(_SUBJECT, "place", lambda: _reached(place), within_s=3 * _PATIENCE_S),))
    if any(check.state == "problem" for check in reached):
        return reached
    run = RunPlace.at(place)
    return reached + checks_of(
        (
            Look(_SUBJECT, "writing", lambda: _writing(run)),
            Look(_SUBJECT, "clock", lambda: _clock(run)),
            Look(_SUBJECT, "room", lambda: _room(run)),
            Look(_SUBJECT, "store", lambda: _store(run), within_s=_LONG_S),
            Look(_SUBJECT, "claims", lambda: _claims(run), within_s=_LONG_S),
            Look(_SUBJECT, "units", lambda: _units(run), within_s=_LONG_S),
            Look(_SUBJECT, "records", lambda: _records(run), within_s=_LONG_S),
            Look(_SUBJECT, "left behind", lambda: _left_behind(run), within_s=_LONG_S),
        )
    )


def _reached(place: str) -> Iterator[Check]:
    run = RunPlace.at(place)
    if run.is_folder and not Path(run.url).is_dir():
        remedy = "Give the --out folder of a run, or begin one: `stitchpipe run SWEEP --out FOLDER`."
        yield problem(_SUBJECT, "place", f"no folder {run.url}", remedy)
        return
    at = open_place(run.url, patience_s=_PATIENCE_S)
    begun = time.monotonic()
    names = at.directories()
    seconds = time.monotonic() - begun
    run.demand_current()
    if at.size(DECLARATION) is None and not {STORE, "sweeps", "results"} & set(names):
        remedy = "Begin one with `stitchpipe run SWEEP --out` and this place, or look at its name."
        yield warning(_SUBJECT, "place", f"{run.url} answers, and holds no run", remedy)
        return
    yield ok(_SUBJECT, "place", f"{run.url} answers, the first time after {1000 * seconds:.0f} ms")


def _writing(run: RunPlace) -> Iterator[Check]:
    run.files.place.preflight()
    yield ok(_SUBJECT, "writing", "files are created, and a second creation under the same name is refused")


def _clock(run: RunPlace) -> Iterator[Check]:
    """Hold the clock of the place against this machine's: what it says of a file that is written now."""
    name = f"doctor-{uuid.uuid4().hex}"
    before = time.time()
    run.files.give_sign(name)
    after = time.time()
    try:
        written = run.files.signs()[name]
    finally:
        run.files.stop_sign(name)
    # Buckets tell whole seconds, rounded down.
    skew = min(written - before, 0) if written < before else max(written - after, 0)
    if abs(skew) <= _SKEW_S:
        yield ok(_SUBJECT, "clock", f"that of the place and this machine's agree to {_SKEW_S:.0f} s")
    else:
        found = f"the place is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine"
        remedy = "Set this machine's clock (NTP): a bucket refuses requests that are 15 minutes off."
        yield warning(_SUBJECT, "clock", found, remedy)


def _room(run: RunPlace) -> Iterator[Check]:
    url = run.store_url
    if "://" in url:
        yield ok(_SUBJECT, "room", "the store lies in a bucket, which does not say how much room it has")
    else:
        yield from disk(_SUBJECT, "room", Path(url))


def _store(run: RunPlace) -> Iterator[Check]:
    if not run.has_store:
        yield ok(_SUBJECT, "store", f"none yet at {run.store_url}")
        return
    store = open_store(run.store_url)
    sealed = store.representations()
    splits = ", ".join(f"{dataset} {split}" for dataset, split in store.splits()) or "none"
    total = size_of(sum(layer.n_bytes for layer in sealed))
    yield ok(_SUBJECT, "store", f"{len(sealed)} layers, {total}; splits: {splits}")


def _claims(run: RunPlace) -> Iterator[Check]:
    held = Claims(run.files).held()
    lost = {unit: holder for unit, holder in held.items() if not holder.lives}
    workers = {holder.worker.name for holder in held.values() if holder.lives}
    if lost:
        hosts = ", ".join(sorted({f"{holder.worker.host} {holder.worker.pid}" for holder in lost.values()}))
        found = f"{_named(list(lost))} claimed by workers that are lost ({hosts})"
        remedy = "Nothing needs to be done: whoever works on this run next takes them over."
        yield warning(_SUBJECT, "claims", found, remedy)
    else:
        yield ok(_SUBJECT, "claims", f"{len(held)} units are worked on, by {len(workers)} workers")


def _units(run: RunPlace) -> Iterator[Check]:
    outcomes = Ledger(run.files).outcomes()
    failed = [outcome for outcome in outcomes.values() if outcome.state == "failed"]
    if not failed:
        yield ok(_SUBJECT, "units", f"none failed of the {len(outcomes)} on record")
    for is_final, remedy in (
        (True, "Mend what the reasons name, then run again with --retry-failed."),
        (False, "Run again: it tries them again by itself."),
    ):
        of_kind = [outcome for outcome in failed if outcome.is_final == is_final]
        if of_kind:
            make = problem if is_final else warning
            yield make(_SUBJECT, "units", f"{len(of_kind)} failed: {_reasons(of_kind)}", remedy)


def _reasons(failed: Sequence[Outcome]) -> str:
    """Return the first units that failed with what was found, and how many more there are."""
    told = [
        f"{outcome.unit} ({outcome.reason.found if outcome.reason else 'no reason'})"
        for outcome in failed[:_SHOWN]
    ]
    return "; ".join(told) + (f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else "")


def _records(run: RunPlace) -> Iterator[Check]:
    damaged = run.files.damaged_records()
    if damaged:
        found = f"{_named([record.file for record in damaged])} damaged"
        remedy = f"`stitchpipe repair {run.url}` takes them out, and the next run makes them again."
        yield problem(_SUBJECT, "records", found, remedy)
    else:
        yield ok(_SUBJECT, "records", "all can be read and are whole; `stitchpipe verify` reads the rest")


def _left_behind(run: RunPlace) -> Iterator[Check]:
    """Look for files that nobody will finish, and for dumps that nobody works on at the moment."""
    if not run.has_store:
        return
    leftovers = maintenance.garbage(run.url, older_than="1d")
    if leftovers.n_bytes:
        remedy = f"`stitchpipe gc {run.url}` shows them, and removes them with --yes."
        yield warning(
            _SUBJECT, "left behind", f"{size_of(leftovers.n_bytes)} that nobody will finish", remedy
        )
    else:
        yield ok(_SUBJECT, "left behind", "nothing older than a day")
    unsealed = [dump for dump, _ in leftovers.store.in_use] if leftovers.store else []
    held = Claims(run.files).held() if unsealed else {}
    living = {unit.partition(" part ")[0] for unit, holder in held.items() if holder.lives}
    idle = [unit for dump in unsealed if (unit := _unit_of(dump)) not in living]
    if idle:
        remedy = "Run again: each goes on at the row groups that are missing."
        yield warning(_SUBJECT, "dumps", f"{_named(idle)} not sealed, and no worker is at it", remedy)


def _unit_of(dump: str) -> str:
    """Return the unit of work that writes a dump, of which the store knows ``DATA/SPLIT/MODEL~FINGERPRINT``."""
    _, split, model = dump.split("/")
    return f"dump {decode_name(model.rpartition('~')[0])} {decode_name(split)}"


def _named(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    verb = "are" if len(names) > 1 else "is"
    return f"{', '.join(names[:_SHOWN])}{more} {verb}"
