"""A run cut into units of work: small names that can be scheduled, retried and resumed one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stitchpipe.config import WeightsModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.run import Run

STEPS: Final = ("inspect", "train", "dump", "compare", "stitch", "report")
"""Every step, in order; each is a function of a run and a unit."""


@dataclass(frozen=True, slots=True)
class Units:
    """The units of every step, in a good order."""

    models: tuple[str, ...]
    dumps: tuple[tuple[str, str], ...]
    views: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]


def check(run: Run, steps: Sequence[str]) -> None:
    """Refuse what cannot be done, before any work: everything that `units` refuses, and unusable checkpoints.

    Checkpoints are only looked at for the steps that need them.
    """
    units(run)
    if "dump" in steps and "compare" not in steps:
        run.activations.demand_dumps()
    if "train" in steps:
        for declared in run.sweep.networks:
            if isinstance(declared, WeightsModel):
                run.networks.unchecked(declared)
    if "dump" in steps:
        run.activations.demand_room()


def units(run: Run) -> Units:
    """Return the units of a run; every glob is resolved here, before any work.

    Ingested models are neither trained nor dumped. Nothing is dumped where activations are not kept.

    Raises
    ------
    ConfigError, stitchpipe.graph.LayerError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        The sweep names data, a network or layers that do not exist, or stitches that cannot be made; it trains or
        stitches on data without labels; it keeps no activations, and asks for what reads them.
    """
    run.data.demand_labels()
    targets = dict.fromkeys((stitch.target.model, stitch.target.layer) for stitch in run.stitches)
    run.activations.demand_no_reading()
    run.ingested.demand_fitting_split()
    return Units(
        models=tuple(model.name for model in run.sweep.networks),
        dumps=run.activations.dumps(),
        views=tuple(table.view for table in run.sweep.compare),
        targets=tuple(targets),
    )
