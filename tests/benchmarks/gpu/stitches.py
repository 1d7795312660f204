"""Task loss matching into one layer: one stitch a call of the tail, nine, and all; losses beside the CPU's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.graph import folded, tail
from stitchpipe.stitching import (
    SourceCache,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    train,
)
from tests.benchmarks.dumped_network import BLOCKS, Subject
from tests.benchmarks.gpu.device import CPU, Row, Work, flops_of, seconds_of
from tests.benchmarks.gpu.dumping import layers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from storage import Representation
    from tests.benchmarks.gpu.size import Size

TARGET = "layer2.1"
SOURCES = ("layer1.0", "layer2.1", "layer3.2")
"""Trained on the CPU too: one of each stage."""
TOLERANCE = 1e-2
"""Of each loss: Adam divides by the root of a second moment, so that rounding grows from step to step."""


def rows(device: torch.device, size: Size, dumped: Path) -> Iterator[Row]:
    """Yield a row for each number of stitches that share a call of the tail; `dumped` is a store of all blocks."""
    sources, few, many = layers_of(dumped), *size.steps
    n = sources[TARGET].shape[0]
    network = Subject(n_images=n).network
    target = StitchingTarget(folded(tail(network, TARGET)), np.random.default_rng(0).integers(0, 10, n))
    cache, expected = SourceCache(limit_bytes=2**33), {}

    def on_cpu() -> None:
        expected.update(_losses(SOURCES, sources, target, CPU, steps=few, size=size, at_once=1, cache=cache))

    # Not timed: sources are read, once and for all.
    _losses(BLOCKS, sources, target, CPU, steps=1, size=size, at_once=1, cache=cache)
    cpu_s = seconds_of(on_cpu, CPU, repeats=1) / (few * len(SOURCES))
    flops = flops_of(
        lambda: _losses((TARGET,), sources, target, CPU, steps=1, size=size, at_once=1, cache=cache)
    )
    names = [BLOCKS[number % len(BLOCKS)] for number in range(max(size.at_once))]
    names[: len(SOURCES)], rest = SOURCES, [name for name in names if name not in SOURCES]
    names[len(SOURCES) :] = (rest * len(names))[: len(names) - len(SOURCES)]
    for at_once in size.at_once:
        found: dict[int, Sequence[float]] = {}

        def on_device(at_once: int = at_once, found: dict[int, Sequence[float]] = found) -> None:
            found.update(
                _losses(names, sources, target, device, steps=many, size=size, at_once=at_once, cache=cache)
            )

        on_device()  # what is not timed warms up
        device_s = seconds_of(on_device, device, repeats=1) / (many * len(names))
        yield Row(
            f"task loss matching, {at_once} at once of {len(names)}",
            "step of a stitch",
            device_s,
            cpu_s,
            Work(
                flops, "float32", size.batch_size * sources[TARGET].dtype.itemsize * float(_values(sources))
            ),
            max(_difference(losses, found[number]) for number, losses in expected.items()),
            TOLERANCE,
        )


def _losses(
    names: Sequence[str],
    sources: Mapping[str, Representation],
    target: StitchingTarget,
    device: torch.device,
    *,
    steps: int,
    size: Size,
    at_once: int,
    cache: SourceCache,
) -> dict[int, Sequence[float]]:
    """Train a stitch from each of some sources; return the loss of every step, by number of the stitch."""
    budget = TrainingBudget(steps=steps, batch_size=size.batch_size)
    trainings = [
        StitchTraining(
            StitchingLayer.random(sources[name].shape[1:], sources[TARGET].shape[1:], seed=number),
            [sources[name]],
            budget,
        )
        for number, name in enumerate(names)
    ]
    curves = train(trainings, target, device=device, at_once=at_once, cache=cache)
    return {number: curve.losses for number, curve in enumerate(curves)}


def _values(sources: Mapping[str, Representation]) -> int:
    """Return the values of a sample that is brought to the device: those of the target's own layer stand for all."""
    return int(np.prod(sources[TARGET].shape[1:]))


def _difference(expected: Sequence[float], found: Sequence[float]) -> float:
    """Return the largest difference of a loss, to the loss."""
    return max(abs(one - other) / abs(one) for one, other in zip(expected, found, strict=False))
