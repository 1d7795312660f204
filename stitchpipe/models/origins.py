"""What a declared network's origin means: how it is built, which checkpoint it gets, and what is recorded of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import ObjectModel, PretrainedModel, TrainedModel, UntrainedModel, WeightsModel
from stitchpipe.models.by_name import build, published, takes_classes
from stitchpipe.models.errors import WeightsError
from stitchpipe.models.sharded_files import checkpoint_is_there, shards_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from stitchpipe.config import NetworkModel


def declared_network(declared: NetworkModel, count_classes: Callable[[], int]) -> nn.Module:
    """Return a declared network in eval mode, with published weights or random ones, before any checkpoint.

    Parameters
    ----------
    count_classes
        Called where neither the model's options nor its published weights say how many logits there are.

    Raises
    ------
    ArchitectureError, WeightsError
        See `build` and `published`.
    """
    options = {**declared.options}
    if isinstance(declared, PretrainedModel):
        return published(declared.architecture, options, declared.pretrained)
    if "num_classes" not in options and takes_classes(declared.architecture):
        options["num_classes"] = count_classes()
    return build(declared.architecture, options, seed=_seed(declared))


def checkpoint(declared: NetworkModel) -> Path | str | None:
    """Return the file or URL that a network's weights are loaded from; None where its origin is another one."""
    return declared.weights if isinstance(declared, WeightsModel) else None


def demand_checkpoint(declared: NetworkModel) -> None:
    """Refuse a network whose checkpoint is not there; of one in a bucket that is a request.

    Raises
    ------
    WeightsError
        There is no such file or object.
    """
    place = checkpoint(declared)
    if place is None:
        return
    if not checkpoint_is_there(place):
        raise _absent(declared, place, "Correct `weights`; relative paths start at the sweep file.")
    for shard in shards_of(place):
        if not checkpoint_is_there(shard):
            raise _absent(declared, shard, f"Put it beside {place}, which names it.")


def _absent(declared: NetworkModel, place: Path | str, remedy: str) -> WeightsError:
    return WeightsError(
        where=f"model '{declared.name}'",
        expected=f"the checkpoint {place}",
        found="no such file",
        remedy=remedy,
    )


def told_origin(declared: NetworkModel) -> str:
    """Return where weights come from that are not trained on the spot, for the record."""
    match declared:
        case WeightsModel():
            return str(declared.weights)
        case PretrainedModel():
            return "published" if declared.pretrained is True else declared.pretrained
        case UntrainedModel():
            return f"untrained, seed {declared.seed}"
        case ObjectModel():
            return "a module of a Python process"
        case _:
            raise ValueError(f"the weights of model '{declared.name}' come out of a training")


def _seed(declared: NetworkModel) -> int:
    """Return what random weights are drawn from, those too that a checkpoint replaces."""
    match declared:
        case TrainedModel():
            return declared.train.seed
        case UntrainedModel():
            return declared.seed
        case _:
            return 0
