"""A sweep cut into units of work: small names that can be scheduled, retried and resumed one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stitchpipe.models import load_weights
from stitchpipe.sweep.jobs import jobs
from stitchpipe.sweep.networks import SPLITS, check_labels, layer_table, network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Sweep

STEPS: Final = ("train", "dump", "compare", "stitch", "report")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of every step, in a good order."""

    models: tuple[str, ...]
    dumps: tuple[tuple[str, str], ...]
    views: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]


def check(sweep: Sweep, steps: Sequence[str]) -> None:
    """Refuse what cannot be done, before any work: everything that `units` refuses, and unusable checkpoints.

    Checkpoints are only looked at for the steps that need them.
    """
    units(sweep)
    if "train" in steps:
        for declared in sweep.models:
            if declared.weights is not None:
                load_weights(network(sweep, declared), declared.weights)


def units(sweep: Sweep) -> Units:
    """Return the units of a sweep; every glob is resolved here, before any work.

    Raises
    ------
    ConfigError, stitchpipe.graph.LayerError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        The sweep names data, a network or layers that do not exist, or stitches that cannot be made; it trains or
        stitches on data without labels.
    """
    check_labels(sweep)
    table = layer_table(sweep)
    targets = dict.fromkeys((job.target.model, job.target.layer) for job in jobs(sweep, table))
    return Units(
        models=sweep.labels,
        dumps=tuple((model, split) for model in sweep.labels for split in SPLITS),
        views=tuple(table.view for table in sweep.compare),
        targets=tuple(targets),
    )
