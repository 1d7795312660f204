"""What a run is to do: the names of its units, put on record when they are known, so that anybody can say what is left.

Which units a sweep has follows from the layers of its networks, and to learn these takes seconds and torch. Whoever
works on a run knows them anyway, and leaves this record.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from stitchpipe.run.names import unit_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFiles

_AGENDAS: Final = "agendas"


@dataclass(frozen=True, slots=True)
class Agenda:
    """The units of a sweep in a run.

    Attributes
    ----------
    sweep
        The sweep's name.
    begun_s
        When somebody last began to work through it, in seconds since the epoch.
    units
        Names as in `stitchpipe.run.ledger.Outcome`, by step, the steps in their order. Those of the models that were
        left out are among them where they were known.
    left_out
        Models that later units do without, because one of their own failed.
    is_complete
        Whether these are all. Before every network is inspected nobody knows the stitches.
    """

    sweep: str
    begun_s: float
    units: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    is_complete: bool = True

    def keep(self, files: CheckedFiles) -> None:
        """Put it on record, in place of what was there of a sweep of this name."""
        # Records do not keep the order of keys, and steps have one.
        steps = [[step, list(names)] for step, names in self.units.items()]
        files.put_record(unit_record(_AGENDAS, self.sweep), {**asdict(self), "units": steps})

    @classmethod
    def all_of(cls, files: CheckedFiles) -> list[Self]:
        """Return all that are on record of a run, the one begun last at the end. One listing, one read for each."""
        agendas = [cls._of(record) for record in files.records(_AGENDAS).values()]
        return sorted(agendas, key=lambda agenda: agenda.begun_s)

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Self:
        units = {step: tuple(names) for step, names in record["units"]}
        left_out, is_complete = tuple(record["left_out"]), record["is_complete"]
        return cls(record["sweep"], record["begun_s"], units, left_out, is_complete)
