"""Over which images a sweep's networks run: both splits, and augmented ones of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import IngestedModel
from stitchpipe.data import augmented_split, augmented_split_name, parse_split_name
from stitchpipe.graph import LOGITS
from stitchpipe.stitching import OBJECTIVES
from stitchpipe.sweep.controls import permuted_model
from stitchpipe.sweep.jobs import LayerName, jobs
from stitchpipe.sweep.networks import SPLITS, TRAIN, splits

if TYPE_CHECKING:
    from stitchpipe.config import Sweep
    from stitchpipe.data import ImageSplit
    from stitchpipe.sweep.jobs import Job, LayerTable


def training_splits(sweep: Sweep, job: Job) -> tuple[str, ...]:
    """Return the splits that a training goes through, epoch by epoch."""
    if job.budget is None or not job.budget.augmented:
        return (TRAIN,)
    return augmented_splits(sweep)


def augmented_splits(sweep: Sweep) -> tuple[str, ...]:
    """Return the names of the augmented splits of the training images."""
    passes = 0 if sweep.dump.augment is None else sweep.dump.augment.passes
    return tuple(augmented_split_name(TRAIN, number) for number in range(1, passes + 1))


def needed_layers(job: Job) -> list[LayerName]:
    """Return whose activations on the training images a stitch reads."""
    layers = [job.source]
    needs = OBJECTIVES.named(job.budget.objective).needs if job.budget is not None else frozenset()
    if "native" in needs:
        layers.append(job.target)
    if "native_logits" in needs:
        layers.append(LayerName(job.target.model, LOGITS))
    return layers


def dumped_splits(sweep: Sweep, table: LayerTable) -> dict[str, tuple[str, ...]]:
    """Return over which splits each model runs: augmented splits where a stitch reads them."""
    read = {
        name.model
        for job in (jobs(sweep, table) if sweep.dump.augment is not None else ())
        if job.budget is not None and job.budget.augmented
        for name in needed_layers(job)
    }
    augmented_models = read | {permuted_model(sweep.model(model)) for model in read}
    return {
        model.name: (*SPLITS, *(augmented_splits(sweep) if model.name in augmented_models else ()))
        for model in sweep.models
        if not isinstance(model, IngestedModel)
    }


def images_of(sweep: Sweep, split: str) -> ImageSplit:
    """Return the images of a split, or of an augmented one."""
    base, number = parse_split_name(split)
    images = splits(sweep.data)[base]
    how = sweep.dump.augment
    if number is None or how is None:
        return images
    return augmented_split(images, number, crop=how.crop, flip=how.flip, seed=how.seed)
