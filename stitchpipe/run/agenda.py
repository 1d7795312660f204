"""What a run is to do: the names of its units, put on record when they are known, so that anybody can say what is left.

Which units a sweep has follows from the layers of its networks, and to learn these takes seconds and torch. Whoever
works on a run knows them anyway, and leaves this record.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from stitchpipe.config import ControlModel, IngestedModel
from stitchpipe.run.names import SPLITS, unit_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.config import Sweep
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


def agenda_declared(sweep: Sweep) -> Agenda:
    """Return the units that follow from a sweep alone: all but stitches, and dumps of augmented images."""
    # Controls may be made from other models' dumps, and come behind them.
    dumped = sorted(
        (model for model in sweep.models if not isinstance(model, IngestedModel)),
        key=lambda model: isinstance(model, ControlModel),
    )
    named = {
        "inspect": [f"inspect {model.name}" for model in sweep.networks],
        "train": [f"train {model.name}" for model in sweep.networks],
        "dump": [f"dump {model.name} {split}" for model in dumped for split in SPLITS if sweep.dump.keep],
        "compare": ["compare"] if sweep.compare else [],
        "fit maps": ["fit maps"],
        "stitch": [],
        "report": ["report"],
    }
    return Agenda(
        sweep.name,
        time.time(),
        {step: tuple(names) for step, names in named.items()},
        is_complete=not sweep.stitch,
    )
