"""How long the steps of a run would take on this machine, as the plan has it: a little of each is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.steps.forecast import forecast
from stitchpipe.steps.forecast_seconds import engine_seconds, single_layer_seconds
from stitchpipe.steps.network_seconds import network_seconds

if TYPE_CHECKING:
    from stitchpipe.run import Run


def planned_seconds(run: Run) -> dict[str, float]:
    """Return the seconds of all units of a step together, by step; those of which a plan says nothing are not there.

    Networks that were not inspected yet are built. Takes a few seconds beside that. Errors as
    `stitchpipe.steps.forecast`.
    """
    ahead = forecast(run)
    of_networks = network_seconds(run, ahead)
    seconds = {"dump": of_networks.dump, "stitch": of_networks.stitch, "fit maps": 0.0}
    for step, work in (("compare", ahead.comparison), ("fit maps", ahead.fitting)):
        if work is not None:
            took = engine_seconds(run, work, reads=run.sweep.dump.keep)
            alone = single_layer_seconds(run, ahead, took) if step == "compare" else 0.0
            seconds[step] = took.total + alone
    return seconds
