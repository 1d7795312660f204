"""A sweep's data and networks in memory: splits, architectures, weights, and their layers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from pydantic import TypeAdapter
from torch import nn

from stitchpipe.config import (
    ConfigError,
    ControlModel,
    Data,
    IngestedModel,
    Model,
    NetworkModel,
    StoredData,
    Sweep,
    TrainedModel,
)
from stitchpipe.data import ImageSplit, load_splits
from stitchpipe.graph import LayerInfo, layers, select
from stitchpipe.models import declared_network
from stitchpipe.sweep.controls import control_layers
from stitchpipe.sweep.ingested import SPLITS, TEST, TRAIN, ingested_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.sweep.folder import Folder

__all__ = [
    "SPLITS",
    "TEST",
    "TRAIN",
    "device_of",
    "fix_threads",
    "gpus",
    "known_layers",
    "layer_table",
    "network",
    "splits",
]


_DATA: TypeAdapter[Data] = TypeAdapter(Data)
_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


def splits(data: Data) -> Mapping[str, ImageSplit]:
    """Return the training and the test split of a declared data set; the last two asked for are kept."""
    return _loaded(data.model_dump_json())


@lru_cache(maxsize=2)
def _loaded(declared: str) -> Mapping[str, ImageSplit]:
    # By its text, because a declaration holds tables, which cannot be keys of a cache.
    return load_splits(_DATA.validate_json(declared), SPLITS)


def network(sweep: Sweep, declared: NetworkModel) -> nn.Module:
    """Build a declared architecture with as many classes as the data, unless it says.

    Weights are random, or published ones; those of a file or of a training are loaded elsewhere.

    Raises
    ------
    ConfigError
        Neither the model's options nor the data tell how many classes there are.
    stitchpipe.models.ArchitectureError, stitchpipe.models.WeightsError
        There is no such architecture, or there are no such published weights.
    """
    return _network(splits(sweep.data), declared)


def _network(images: Mapping[str, ImageSplit], declared: NetworkModel) -> nn.Module:
    return declared_network(declared, lambda: _classes(images, declared))


def check_labels(sweep: Sweep) -> None:
    """Refuse a sweep that trains or stitches on data without labels; comparing alone needs none.

    Raises
    ------
    stitchpipe.data.DataError
        A split that training or stitches need has no labels.
    """
    trained = next((model.name for model in sweep.models if isinstance(model, TrainedModel)), None)
    purpose = f"training model '{trained}'" if trained is not None else "judging stitches by their accuracy"
    if (trained is not None or sweep.stitch) and not isinstance(sweep.data, StoredData):
        for split in splits(sweep.data).values():
            split.required_labels(purpose)


def output_width(sweep: Sweep, declared: NetworkModel) -> int:
    """Return how many logits a declared network gives."""
    with torch.inference_mode():
        logits = network(sweep, declared).eval()(splits(sweep.data)[TEST].batch([0]))
    return int(logits.shape[1])


def _classes(images: Mapping[str, ImageSplit], declared: NetworkModel) -> int:
    counts = [split.n_classes for split in images.values()]
    known = [count for count in counts if count is not None]
    if not known:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected="a number of classes, from the data or from the model",
            found="images without labels or names of classes",
            remedy="Add options = { num_classes = N } to the model, as its weights have it.",
        )
    return max(known)


def layer_table(sweep: Sweep, folder: Folder | None = None) -> dict[str, tuple[LayerInfo, ...]]:
    """Return, for every model, the layers that the sweep's globs select, in the network's order.

    The layers of ingested models are those of the store in `folder`, in the natural order of their names.

    Raises
    ------
    ConfigError, stitchpipe.graph.LayerError
        An architecture is unknown, a glob matches no layer, or nothing was ingested.
    """
    table = {}
    for declared in sweep.models:
        match declared:
            case ControlModel():
                continue
            case IngestedModel():
                known = ingested_layers(sweep, folder, declared)
            case _:
                known = known_layers(sweep, declared)
        chosen = set(select(known, sweep.layer_globs(declared)))
        table[declared.name] = tuple(info for info in known if info.name in chosen)
    for declared in sweep.models:
        if isinstance(declared, ControlModel):
            known = control_layers(declared.control, table)
            chosen = set(select(known, declared.layers or ("*",)))
            table[declared.name] = tuple(info for info in known if info.name in chosen)
    return {declared.name: table[declared.name] for declared in sweep.models}


def known_layers(sweep: Sweep, declared: NetworkModel) -> tuple[LayerInfo, ...]:
    """Return all layers of a declared network on the sweep's images, those of functions too."""
    return _known_layers(declared.model_dump_json(exclude={"layers"}), sweep.data.model_dump_json())


@lru_cache(maxsize=64)
def _known_layers(model: str, data: str) -> tuple[LayerInfo, ...]:
    # By their text, as above. Where hooks are needed this takes a forward pass or two for every layer.
    images = splits(_DATA.validate_json(data))
    declared = _MODEL.validate_json(model)
    assert isinstance(declared, NetworkModel)  # noqa: S101 - by its text, of a network
    return layers(_network(images, declared), images[TEST].batch([0]), functions=True)


def device_of(sweep: Sweep) -> torch.device:
    """Return where forward passes and training run: the GPU where there is one, unless the sweep says."""
    if sweep.run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            where="run.device",
            expected="a CUDA device",
            found="none on this machine",
            remedy="Set it to 'auto' or 'cpu'.",
        )
    use_gpu = sweep.run.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def gpus(sweep: Sweep) -> int:
    """Return how many GPUs the sweep may use on this machine."""
    return torch.cuda.device_count() if device_of(sweep).type == "cuda" else 0


def fix_threads(sweep: Sweep) -> None:
    """Give torch the declared number of threads, so that no sum depends on the machine's number of cores."""
    torch.set_num_threads(sweep.run.torch_threads)
