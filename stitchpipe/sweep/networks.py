"""A sweep's data and networks in memory: splits, architectures, weights, and their layers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import nn

from stitchpipe.config import ConfigError, Data, Model, Sweep
from stitchpipe.data import ImageSplit, load_digits_splits, load_image_folder
from stitchpipe.graph import LayerInfo, layers, select
from stitchpipe.models import build
from stitchpipe.sweep.ingested import SPLITS, TEST, TRAIN, ingested_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.sweep.folder import Folder

__all__ = ["SPLITS", "TEST", "TRAIN", "device_of", "fix_threads", "layer_table", "network", "splits"]


@lru_cache(maxsize=2)
def splits(data: Data) -> Mapping[str, ImageSplit]:
    """Return the training and the test split of a declared data set."""
    if data.kind == "digits":
        return load_digits_splits(name=data.label, test_fraction=data.test_fraction, seed=data.seed)
    if data.kind == "store":
        raise ConfigError(
            where="data",
            expected="images to run networks on",
            found="kind 'store'",
            remedy="Name the images: digits or image_folder.",
        )
    if data.root is None:
        raise ConfigError(where="data", expected="`root`", found="none", remedy="Name the images' folder.")
    return load_image_folder(
        data.root,
        name=data.label,
        splits=SPLITS,
        limit=data.limit,
        size=data.size,
        mean=data.mean,
        std=data.std,
        seed=data.seed,
    )


def network(sweep: Sweep, declared: Model) -> nn.Module:
    """Build a declared architecture with untrained weights; as many classes as the data unless it says."""
    classes = len(splits(sweep.data)[TRAIN].class_names)
    options = {"num_classes": classes, **declared.options}
    seed = declared.train.seed if declared.train is not None else 0
    return build(declared.architecture, options, seed=seed)


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
        if declared.ingested:
            known = ingested_layers(sweep, folder, declared)
        else:
            known = layers(network(sweep, declared), splits(sweep.data)[TEST].batch([0]))
        chosen = set(select(known, sweep.layer_globs(declared)))
        table[declared.name] = tuple(info for info in known if info.name in chosen)
    return table


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


def fix_threads(sweep: Sweep) -> None:
    """Give torch the declared number of threads, so that no sum depends on the machine's number of cores."""
    torch.set_num_threads(sweep.run.torch_threads)
