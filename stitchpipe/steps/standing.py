"""How far a run is, from its records alone: no network is built, nothing heavy is imported."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from stitchpipe.config import parse
from stitchpipe.run.agenda import Agenda, agenda_declared
from stitchpipe.run.claims import Claims
from stitchpipe.run.file_names import dump_record, inspection_record, model_record
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.place import PlaceError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stitchpipe.run.claims import Holder
    from stitchpipe.run.ledger import Outcome
    from stitchpipe.run.place import RunPlace

State: TypeAlias = Literal["done", "under way", "missing", "failed", "left out"]
STATES: Final[tuple[State, ...]] = ("done", "under way", "missing", "failed", "left out")
ALONE: Final = ("compare", "fit maps", "report")
"""Steps that are one unit, whose work is shared within it."""
PLANNED: Final = ("dump", "compare", "fit maps", "stitch")
"""Steps of which a plan says how long they take."""
_BEFORE: Final = {"train": ("inspect",), "dump": ("inspect", "train"), "stitch": ("inspect", "train")}
"""Steps of the same model that must have gone well before a step."""
_PART: Final = " part "
"""Stands between a dump and the part of it that a unit is."""


@dataclass(frozen=True, slots=True)
class UnitStanding:
    """How far one unit is.

    Attributes
    ----------
    holder
        Who works on it, while it is under way.
    outcome
        How it ended last; None where it never did, or was done before outcomes were noted.
    """

    unit: str
    state: State
    holder: Holder | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class StepStanding:
    """How far a step is.

    Attributes
    ----------
    units
        In the order of the agenda.
    mean_s
        What its units took that were done, on average; None where none was noted.
    left_s
        How long the rest takes with those who work now, or with one worker; None where nothing tells.
    is_planned
        Whether that is what the plan says, and not what units took that are done.
    """

    step: str
    units: tuple[UnitStanding, ...]
    mean_s: float | None
    left_s: float | None
    is_planned: bool = False

    def count(self, state: State) -> int:
        """Return how many units are in a state."""
        return sum(unit.state == state for unit in self.units)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is.

    Attributes
    ----------
    at_s
        When this was found, in seconds since the epoch.
    sweep
        The name of the sweep whose units these are; other sweeps of the run are `others`.
    is_complete
        Whether all its units are known. Before every network is inspected nobody knows the stitches.
    lost
        Claims of workers that are lost, by unit: whoever works next takes them over.
    """

    url: str
    at_s: float
    sweep: str
    others: tuple[str, ...]
    is_complete: bool
    steps: tuple[StepStanding, ...]
    workers: int
    lost: Mapping[str, Holder]

    @property
    def units(self) -> list[UnitStanding]:
        """All units."""
        return [unit for step in self.steps for unit in step.units]

    def count(self, state: State) -> int:
        """Return how many units are in a state."""
        return sum(step.count(state) for step in self.steps)

    @property
    def left_s(self) -> float | None:
        """How long the rest takes: the sum over steps; None where one of them tells nothing."""
        each = [step.left_s for step in self.steps]
        return None if None in each else sum(filter(None, each))


def standing(
    place: RunPlace, *, sweep: str | None = None, planned: Mapping[str, float] | None = None
) -> Standing:
    """Return how far a run is.

    Parameters
    ----------
    sweep
        Name of the sweep whose units are looked at; default: the one that was begun last.
    planned
        Seconds of all units of a step together, as `stitchpipe.steps.planned_seconds` has them, for the steps of which
        no unit is done yet.

    Raises
    ------
    PlaceError
        There is no run, or none of a sweep of that name.
    storage.StoreError
        The place does not answer, or a record is damaged.

    Notes
    -----
    A listing each of agendas, outcomes, signs of life and records of models; a read for each outcome, side by side, and
    where somebody works or was killed a read for each claim.
    """
    files = place.files
    agendas = Agenda.all_of(files)
    # Where there is no run nothing more is asked: to look at claims leaves a sign for a moment.
    known, is_complete = _agenda(place, agendas, sweep)
    with ThreadPoolExecutor(3) as asked:
        outcomes, held = asked.submit(Ledger(files).outcomes), asked.submit(_held, place)
        recorded = asked.submit(files.record_names, "models")
        facts = _Facts.of(known, outcomes.result(), held.result(), recorded.result())
    workers = {holder.worker.name for holder in facts.holders.values()}
    steps = [
        _of_step(step, tuple(map(facts.of_unit, names)), max(1, len(workers)), (planned or {}).get(step))
        for step, names in known.units.items()
    ]
    return Standing(
        url=place.url,
        at_s=time.time(),
        sweep=known.sweep,
        others=tuple(agenda.sweep for agenda in agendas if agenda.sweep != known.sweep),
        is_complete=is_complete,
        steps=tuple(steps),
        workers=len(workers),
        lost={unit: holder for unit, holder in held.result().items() if not holder.lives},
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the records say.

    Attributes
    ----------
    outcomes
        By unit; of a dump that was done in parts, that of a part that failed.
    holders
        Who works, by unit; parts of a dump count as the dump.
    recorded
        Names of the records of models.
    """

    agenda: Agenda
    outcomes: Mapping[str, Outcome]
    holders: Mapping[str, Holder]
    recorded: frozenset[str]

    @classmethod
    def of(
        cls,
        agenda: Agenda,
        outcomes: Mapping[str, Outcome],
        held: Mapping[str, Holder],
        recorded: Collection[str],
    ) -> Self:
        """Sort what was read."""
        failed_parts = {
            _whole(unit): outcome
            for unit, outcome in outcomes.items()
            if _PART in unit and outcome.state == "failed"
        }
        holders = {_whole(unit): holder for unit, holder in held.items() if holder.lives}
        return cls(agenda, {**failed_parts, **outcomes}, holders, frozenset(recorded))

    def of_unit(self, unit: str) -> UnitStanding:
        """Return how far a unit is."""
        outcome, holder = self.outcomes.get(unit), self.holders.get(unit)
        if holder is not None:
            return UnitStanding(unit, "under way", holder, outcome)
        if self._is_done(unit, outcome):
            return UnitStanding(unit, "done", None, outcome)
        if outcome is not None and outcome.state == "failed":
            return UnitStanding(unit, "failed", None, outcome)
        return UnitStanding(unit, "left out" if self._lacks_its_model(unit) else "missing", None, outcome)

    def _lacks_its_model(self, unit: str) -> bool:
        """Whether its model was left out, or failed at an earlier step a moment ago."""
        words = unit.split(" ")
        prefixes = [" ".join(words[1:stop]) for stop in range(2, len(words) + 1)]
        earlier = [f"{step} {model}" for model in prefixes for step in _BEFORE.get(words[0], ())]
        failed = (self.outcomes[each].state == "failed" for each in earlier if each in self.outcomes)
        return any(model in self.agenda.left_out for model in prefixes) or any(failed)

    def _is_done(self, unit: str, outcome: Outcome | None) -> bool:
        """Whether its outcome says so, or a record that only this unit leaves: it may be older than all outcomes."""
        if outcome is not None and outcome.unit == unit:
            return outcome.state == "done"
        step, _, subject = unit.partition(" ")
        match step:
            case "inspect":
                return inspection_record(subject) in self.recorded
            case "train":
                return model_record(subject) in self.recorded
            case "dump":
                model, _, split = subject.rpartition(" ")
                return dump_record(model, split) in self.recorded
            case _:
                return False


def _held(place: RunPlace) -> Mapping[str, Holder]:
    """Return who has which unit; without reading every claim where nobody works, which leaves no sign of life."""
    return Claims(place.files).held() if place.files.signs() else {}


def _whole(unit: str) -> str:
    """Return the unit that a part of a dump belongs to; any other is whole."""
    return unit.partition(_PART)[0]


def _agenda(place: RunPlace, agendas: Sequence[Agenda], sweep: str | None) -> tuple[Agenda, bool]:
    """Return the agenda that is meant, and whether it has all units."""
    named = [agenda for agenda in agendas if sweep in (None, agenda.sweep)]
    if named:
        return named[-1], named[-1].is_complete
    kept = place.declaration()
    declared = None if kept is None else parse(kept, where=f"{place.url}/sweep.toml", folder=Path())
    if declared is not None and sweep in (None, declared.name):
        return agenda_declared(declared), False
    known = [agenda.sweep for agenda in agendas] + ([declared.name] if declared is not None else [])
    raise PlaceError(
        where=place.url,
        expected="a run that has begun" if sweep is None else f"a run of the sweep '{sweep}'",
        found=f"one of {', '.join(known)}" if known else "no agenda and no sweep.toml",
        remedy="Give the --out folder or URL of a run; `stitchpipe run SWEEP --out` begins one.",
    )


def _of_step(
    step: str, units: tuple[UnitStanding, ...], workers: int, planned_s: float | None
) -> StepStanding:
    taken = [
        unit.outcome.seconds for unit in units if unit.outcome is not None and unit.outcome.state == "done"
    ]
    mean_s = fmean(taken) if taken else None
    a_unit_s = planned_s / len(units) if mean_s is None and planned_s is not None and units else mean_s
    left_s = _left_s(units, a_unit_s, 1 if step in ALONE else workers)
    return StepStanding(step, units, mean_s, left_s, is_planned=mean_s is None and bool(left_s))


def _left_s(units: Collection[UnitStanding], mean_s: float | None, workers: int) -> float | None:
    """Return how long the units take that are missing, and the rest of those that are under way."""
    counted = Counter(unit.state for unit in units)
    if not counted["missing"] + counted["under way"]:
        return 0.0
    now_s = time.time()
    running = [unit.holder for unit in units if unit.holder is not None]
    paces = [holder.whole_s(now_s) for holder in running]
    known = [whole_s for whole_s in paces if whole_s is not None]
    if mean_s is None and not known:
        return None
    a_unit_s = fmean(known) if mean_s is None else mean_s
    wholes = (a_unit_s if whole_s is None else whole_s for whole_s in paces)
    rests = (whole_s - (now_s - holder.since_s) for holder, whole_s in zip(running, wholes, strict=True))
    return (a_unit_s * counted["missing"] + sum(max(0.0, rest_s) for rest_s in rests)) / workers
