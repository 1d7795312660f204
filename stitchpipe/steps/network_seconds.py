"""How long dumps and stitches would take on this machine, from a few forward passes of each network."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from stitchpipe.run.names import TEST, TRAIN
from storage import LayerSpec, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.config import NetworkModel
    from stitchpipe.run import Run
    from stitchpipe.steps.forecast import Forecast

REPEATS: Final = 3
PASSES_OF_A_STEP: Final = 3
"""Forward passes that a step of training is counted as: one, and twice as much backwards."""
WRITTEN_SAMPLES, WRITTEN_SHAPE = 256, (64, 16, 16)


@dataclass(frozen=True, slots=True)
class NetworkSeconds:
    """Wall seconds of what runs networks.

    Attributes
    ----------
    dump
        Forward passes over all images, and activations written.
    stitch
        A step is counted as one of the whole target network, of which only what follows the target is run. Of small
        networks what is done beside it takes as long again. Detectors are not counted.
    """

    dump: float
    stitch: float


def network_seconds(run: Run, ahead: Forecast) -> NetworkSeconds:
    """Return about how long the dumps and stitches of a run take; writes 8 MiB to a temporary folder.

    Networks have random weights where theirs are not there yet. Takes a few batches of each network.
    """
    declared = {model.name: model for model in run.sweep.networks}
    if not declared:
        return NetworkSeconds(0.0, 0.0)
    run.fix_threads()
    an_image = {name: _seconds_an_image(run, model) for name, model in declared.items()}
    dumped = sum(
        an_image[name] * run.extent.images(split) for name in an_image for split in run.extent.splits[name]
    )
    a_byte, a_shard = _write_rates(run)
    # Of each layer, the logits too, a shard for every row group; augmented splits are cut as the training split is.
    shards = sum(
        ahead.row_groups.get(split, ahead.row_groups[TRAIN]) * (1 + ahead.layers[name])
        for name in an_image
        for split in run.extent.splits[name]
    )
    written = ahead.activation_bytes * a_byte + shards * a_shard
    return NetworkSeconds(dumped + written, _stitches(run, an_image))


def _stitches(run: Run, an_image: Mapping[str, float]) -> float:
    images = 0.0
    for planned in run.stitches:
        trained = planned.budget
        seen = 0 if trained is None else PASSES_OF_A_STEP * trained.steps * trained.batch_size
        images += an_image[planned.target.model] * (seen + run.extent.images(TEST))
    return images


def _seconds_an_image(run: Run, declared: NetworkModel) -> float:
    """Return what a forward pass takes for an image of a batch: the best of a few, after one that warms up."""
    network = run.networks.built(declared).to(run.device).eval()
    split = run.data.splits[TEST]
    count = min(run.extent.settings.batch_size, len(split))
    images = split.batch(list(range(count))).to(run.device)
    taken = []
    with torch.inference_mode():
        for _ in range(1 + REPEATS):
            begun = time.perf_counter()
            network(images)
            if run.device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - begun)
    return min(taken) / count


def _write_rates(run: Run) -> tuple[float, float]:
    """Return what writing takes for a byte of activations before compression, and for a shard however small it is."""
    settings, n = run.extent.settings, WRITTEN_SAMPLES
    rng = np.random.default_rng(0)
    large, small = (
        np.maximum(rng.standard_normal((n, *shape)), 0).astype(settings.dtype)
        for shape in (WRITTEN_SHAPE, WRITTEN_SHAPE[:1])
    )
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "trial.zarr", mode="a")
        store.add_split("trial", "all", [str(number) for number in range(n)], row_groups=1)
        for name, values in (("large", large), ("small", small)):
            dump = store.begin_dump(
                dataset="trial",
                split="all",
                model=name,
                layers={name: LayerSpec(values.shape[1:], dtype=settings.dtype)},
                identity={"weights": ""},
                provenance={},
                encoding=settings.encoding,
            )
            begun = time.perf_counter()
            dump.write(0, {name: values})
            taken.append(time.perf_counter() - begun)
    return max(0.0, taken[0] - taken[1]) / large.nbytes, taken[1]
