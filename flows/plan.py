"""The units of work of a run and what depends on what: no Prefect here, no process, only names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from flows.unit import Unit
from stitchpipe import steps as pipeline
from stitchpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Plan:
    """The units of a run, step by step.

    Attributes
    ----------
    inspections
        One for each network. They depend on nothing; dumps wait for them.
    trainings
        One for each network. They depend on nothing.
    dumps
        Of networks, one for each split. Each depends on the training of its network.
    control_dumps
        Of made-up activations. They may be made from any network's, and so depend on all other dumps.
    comparison
        Depends on all dumps; empty where nothing is compared.
    maps
        The direct-matching maps that stitches start from. Depends on all dumps, and after the comparison finds most of
        them there.
    stitches
        One for each target layer. Each depends on the maps.
    report
        Depends on everything.
    """

    inspections: tuple[Unit, ...]
    trainings: tuple[Unit, ...]
    dumps: tuple[Unit, ...]
    control_dumps: tuple[Unit, ...]
    comparison: tuple[Unit, ...]
    maps: Unit
    stitches: tuple[Unit, ...]
    report: Unit

    @classmethod
    def of(cls, sweep: str, out: str, *, scheduler: str | None = None, part: str = "1/1") -> Self:
        """Return the units of a run. Every glob of the sweep is resolved here; what cannot be done is refused."""
        units = pipeline.units(Run.open(sweep, out))
        dumps = [Unit("dump", sweep, out, names, part) for names in units.dumps]
        return cls(
            inspections=tuple(Unit("inspect", sweep, out, (model,)) for model in units.models),
            trainings=tuple(Unit("train", sweep, out, (model,)) for model in units.models),
            dumps=tuple(dump for dump in dumps if dump.subject[0] in units.models),
            control_dumps=tuple(dump for dump in dumps if dump.subject[0] not in units.models),
            comparison=(Unit("compare", sweep, out, option=scheduler),) if units.views else (),
            maps=Unit("fit maps", sweep, out, option=scheduler),
            stitches=tuple(Unit("stitch", sweep, out, names) for names in units.targets),
            report=Unit("report", sweep, out),
        )

    def at_once(self, steps: Sequence[str]) -> tuple[Unit, ...]:
        """Return the units of the chosen steps that depend on no other unit of these steps."""
        if "train" in steps and self.trainings:
            return self.trainings
        return self.dumps if "dump" in steps else ()
