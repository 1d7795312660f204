"""A sweep cut into units of work: small names that can be scheduled, retried and resumed one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stitchpipe.config import ControlModel
from stitchpipe.models import checkpoint, load_weights
from stitchpipe.sweep.augmented_splits import dumped_splits
from stitchpipe.sweep.direct import demand_no_reading
from stitchpipe.sweep.dumping import demand_kept
from stitchpipe.sweep.ingested import demand_fitting_split
from stitchpipe.sweep.jobs import jobs
from stitchpipe.sweep.networks import check_labels, layer_table, network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Sweep
    from stitchpipe.sweep.folder import Folder
    from stitchpipe.sweep.jobs import LayerTable

STEPS: Final = ("train", "dump", "compare", "stitch", "report")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of every step, in a good order."""

    models: tuple[str, ...]
    dumps: tuple[tuple[str, str], ...]
    views: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]


def check(sweep: Sweep, steps: Sequence[str], folder: Folder | None = None) -> None:
    """Refuse what cannot be done, before any work: everything that `units` refuses, and unusable checkpoints.

    Checkpoints are only looked at for the steps that need them, `folder` for the layers of ingested models.
    """
    units(sweep, folder)
    if "dump" in steps and "compare" not in steps:
        demand_kept(sweep)
    if "train" in steps:
        for declared in sweep.networks:
            if (path := checkpoint(declared)) is not None:
                load_weights(network(sweep, declared), path)


def units(sweep: Sweep, folder: Folder | None = None) -> Units:
    """Return the units of a sweep; every glob is resolved here, before any work.

    `folder` is needed where a model was ingested; such models are neither trained nor dumped. Nothing is dumped
    where activations are not kept.

    Raises
    ------
    ConfigError, stitchpipe.graph.LayerError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        The sweep names data, a network or layers that do not exist, or stitches that cannot be made; it trains or
        stitches on data without labels; it keeps no activations, and asks for what reads them.
    """
    check_labels(sweep)
    table = layer_table(sweep, folder)
    demand_no_reading(sweep)
    demand_fitting_split(sweep, folder)
    targets = dict.fromkeys((job.target.model, job.target.layer) for job in jobs(sweep, table))
    return Units(
        models=tuple(model.name for model in sweep.networks),
        dumps=_dumps(sweep, table) if sweep.dump.keep else (),
        views=tuple(table.view for table in sweep.compare),
        targets=tuple(targets),
    )


def _dumps(sweep: Sweep, table: LayerTable) -> tuple[tuple[str, str], ...]:
    """Return model and split of every dump; controls come last, because they may be made from other models'."""
    splits = dumped_splits(sweep, table)
    ordered = sorted(splits, key=lambda name: isinstance(sweep.model(name), ControlModel))
    return tuple((model, split) for model in ordered for split in splits[model])
