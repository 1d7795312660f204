"""How long the steps of a run took, for the table at its end and for the run's record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stitchpipe.run.file_names import TIMES
from stitchpipe.run.place import RunPlace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flows.unit import Ended

#: How many commands the record of a run remembers.
_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long one step took.

    Attributes
    ----------
    units
        How many units of work it had.
    wall_s
        From the beginning of its first unit to the end of its last one. Steps that overlap share this time.
    busy_s
        The sum over its units: more than `wall_s` where they ran at the same time.
    """

    step: str
    units: int
    wall_s: float
    busy_s: float


def step_times(ended: Iterable[Ended]) -> list[StepTime]:
    """Return the time of every step of which a unit was tried, in the order in which the steps began."""
    by_step: dict[str, list[Ended]] = {}
    tried = (unit for unit in ended if unit.state in {"done", "failed"} and unit.seconds)
    for unit in sorted(tried, key=lambda unit: unit.begun_s):
        by_step.setdefault(unit.unit.step, []).append(unit)
    return [
        StepTime(
            step,
            len(units),
            wall_s=max(unit.ended_s for unit in units) - units[0].begun_s,
            busy_s=sum(unit.seconds for unit in units),
        )
        for step, units in by_step.items()
    ]


def note_times(out: str, times: Iterable[StepTime], *, total_s: float, processes: int) -> None:
    """Add the times of one command to the run's record; the oldest are forgotten."""
    files = RunPlace.at(out).files
    commands: list[Any] = (files.record(TIMES) or {}).get("commands", [])
    this_one = {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "total_s": round(total_s, 2),
        "processes": processes,
        "steps": [
            {
                name: round(value, 2) if isinstance(value, float) else value
                for name, value in asdict(time).items()
            }
            for time in times
        ],
    }
    files.put_record(TIMES, {"commands": [*commands, this_one][-_REMEMBERED:]})
