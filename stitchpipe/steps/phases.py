"""How much of each phase of a run there is to do, and what of it is there: from declarations and records alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from stitchpipe.run.activations import dump_declaration
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps.doneness import stitched
from stitchpipe.steps.unit_keys import unit_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stitchpipe.run import Run
    from stitchpipe.run.ledger import Outcome


_EXACT: Final = ("inspect", "dump", "stitch")
"""Steps whose units leave records that say what they were made from."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The units of one step.

    Attributes
    ----------
    units
        How many there are; of networks that are not inspected yet, those that are known.
    there
        How many are done.
    failed
        How many failed, and will not be tried again unless that is asked for.
    mean_s
        What the units that were done took on average, in seconds; None where nothing tells.
    """

    step: str
    units: int
    there: int
    failed: int
    mean_s: float | None

    @property
    def missing(self) -> int:
        """Return how many are to be done."""
        return self.units - self.there - self.failed


def phases(run: Run, known: Run) -> list[Phase]:
    """Return the phases of a run in their order; builds no network.

    Inspections, dumps and stitches are there if they are on record as they are declared now; of the other steps a unit
    is there if the ledger says that the same was done last.

    Parameters
    ----------
    known
        The run without the networks that are not inspected yet, of which nobody knows the dumps and stitches.

    Notes
    -----
    A few listings, and a read for each outcome, model and dump, side by side. Where stitches are declared, the layers
    that they begin and end at are opened.
    """
    outcomes = Ledger(run.place.files).outcomes()
    inspected = [f"inspect {declared.name}" for declared in run.layers.on_record()]
    networks = [declared.name for declared in run.sweep.networks]
    dumps = _dumps(known) if run.sweep.dump.keep else {}
    targets = dict.fromkeys(planned.target for planned in known.stitches)
    units: dict[str, Sequence[str]] = {
        "inspect": [f"inspect {name}" for name in networks],
        "train": [f"train {name}" for name in networks],
        "dump": list(dumps),
        "compare": ["compare"] if run.sweep.compare else [],
        "fit maps": ["fit maps"] if run.sweep.stitch else [],
        "stitch": [f"stitch {target.model} {target.layer}" for target in targets],
        "report": ["report"],
    }
    there = {
        step: [name for name in names if _is_same(run, name, outcomes)]
        for step, names in units.items()
        if step not in _EXACT
    }
    there["inspect"] = inspected
    there["dump"] = [name for name, is_there in dumps.items() if is_there]
    there["stitch"] = [f"stitch {model} {layer}" for model, layer in stitched(known)]
    return [_phase(step, names, outcomes, there[step]) for step, names in units.items()]


def _is_same(run: Run, unit: str, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether what a unit did last is what is asked of it now."""
    last = outcomes.get(unit)
    if last is None or last.state != "done":
        return False
    subject = (unit.partition(" ")[2],) if last.step == "train" else ()
    return last.key == unit_key(run, last.step, subject)


def _phase(step: str, names: Sequence[str], outcomes: Mapping[str, Outcome], exact: Collection[str]) -> Phase:
    known = [outcomes[name] for name in names if name in outcomes]
    there = set(exact) & set(names)
    taken = [outcome.seconds for outcome in known if outcome.state == "done"]
    return Phase(
        step,
        units=len(names),
        there=len(there),
        failed=sum(outcome.is_final and outcome.unit not in there for outcome in known),
        mean_s=fmean(taken) if taken else None,
    )


def _dumps(run: Run) -> dict[str, bool]:
    """Return the dumps of a run, and whether each is on record as it is declared now."""
    dumps = run.activations.dumps()
    records = run.place.files.records_of((dump_record(*names) for names in dumps), "models")
    found = {}
    for model, split in dumps:
        record = records.get(dump_record(model, split))
        is_there = record is not None and record["declaration"] == dump_declaration(
            run.sweep, run.sweep.model(model), split
        )
        found[f"dump {model} {split}"] = is_there
    return found
