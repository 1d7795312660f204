"""What units of work cost about, one against the other: enough to deal them to workers, and no forecast."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

from stitchpipe.config import NetworkModel
from stitchpipe.run.names import TEST

if TYPE_CHECKING:
    from stitchpipe.run import LayerName, Run

FORWARD_AND_BACK: Final = 3
"""Forward passes that a step of training is counted as."""


def unit_costs(run: Run) -> dict[tuple[str, ...], float]:
    """Return what each dump, by model and split, and the stitches into each target, by model and layer, cost.

    Counted in values of all layers that are computed, from the records of inspections: of a forward pass that is a fair
    measure between networks of one kind, and within a factor of a few between others.
    """
    values = {
        declared.name: sum(prod(info.shape) for info in run.layers.inspection(declared).layers)
        for declared in run.sweep.networks
    }
    costs: dict[tuple[str, ...], float] = {}
    for model, split in run.activations.dumps():
        costs[model, split] = float(values.get(model, 1)) * run.extent.images(split)
    images = run.extent.images(TEST) if run.stitches else 0
    for planned in run.stitches:
        trained = planned.budget
        seen = 0 if trained is None else FORWARD_AND_BACK * trained.steps * trained.batch_size
        target = planned.target.model, planned.target.layer
        costs[target] = costs.get(target, 0.0) + _behind(run, planned.target) * (seen + images)
    return costs


def _behind(run: Run, target: LayerName) -> float:
    """Return how many values of an image are computed behind a layer."""
    declared = run.sweep.model(target.model)
    if not isinstance(declared, NetworkModel):
        return 1.0
    layers = run.layers.inspection(declared).layers
    names = [info.name for info in layers]
    return float(sum(prod(info.shape) for info in layers[names.index(target.layer) :]))
