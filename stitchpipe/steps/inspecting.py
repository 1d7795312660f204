"""The first step: every network is built once, and what it consists of is left on record for all that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.steps.naming import about
from stitchpipe.steps.progress import Report, silent

if TYPE_CHECKING:
    from stitchpipe.run import Run


def inspect(run: Run, model: str, *, report: Report = silent) -> dict[str, Any]:
    """Leave the record of a network's layers and cuts; return a small summary.

    A network that is on record as it is declared is not built again.

    Raises
    ------
    ConfigError, stitchpipe.models.ArchitectureError, stitchpipe.graph.TraceError
        The network cannot be built, or does not take the sweep's images.
    stitchpipe.graph.LayerError
        It has no layer that the sweep names.
    """
    with about(model):
        inspection = run.layers.keep(run.sweep.network(model))
        run.layers.of(model)
    report(1, 1)
    return {
        "model": model,
        "network": inspection.network,
        "layers": len(inspection.layers),
        "cuts": len(inspection.cuts),
        "by": inspection.traced_by,
    }
