"""Task loss matching of every block of ResNet-20 into every block, beside running both networks for every batch."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stitchpipe.capture import dump
from stitchpipe.graph import folded, tail
from stitchpipe.stitching import (
    SourceCache,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    train,
)
from stitchpipe.stitching.batches import ReadAhead
from storage import Address, open_store
from tests.benchmarks.dumped_network import BLOCKS, dump_settings, store_with_split
from tests.benchmarks.tables import Table

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

BATCH = 256
SOURCES = ("layer1.0", "layer2.1", "layer3.2")
"""One of each stage: the obvious way takes as long whatever the source."""
STEPS = 4
"""Of the obvious way, of which all steps take as long."""


@pytest.fixture(scope="module")
def dumped(subject, tmp_path_factory):
    """A dump of all blocks, labels, and how long an epoch is."""
    root = tmp_path_factory.mktemp("stitching") / "store.zarr"
    dump(
        subject.network,
        subject.images,
        store_with_split(root, subject.n_images),
        model="resnet20",
        architecture="resnet20",
        layers=BLOCKS,
        settings=dump_settings(),
    )
    store = open_store(root)
    labels = np.random.default_rng(0).integers(0, 10, subject.n_images)
    sources = {
        layer: store.representation(Address("benchmark", "test", "resnet20", layer)) for layer in BLOCKS
    }
    return SimpleNamespace(sources=sources, labels=labels, steps=-(-subject.n_images // BATCH))


@pytest.fixture(scope="module")
def table(subject):
    made = Table(title="An epoch of task loss matching", about=subject.describe())
    yield made
    made.show()


def shapes(dumped, source, target):
    return dumped.sources[source].shape[1:], dumped.sources[target].shape[1:]


def obvious_step_s(subject, dumped, source: str, target: str) -> float:
    """Run both networks in full for every batch; the layer's value is taken, and put in, by hooks."""
    sender, receiver = subject.network, subject.network
    layer = StitchingLayer.random(*shapes(dumped, source, target), seed=0)
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-3)
    seen: list[torch.Tensor] = []
    labels = torch.from_numpy(dumped.labels)
    taken = sender.get_submodule(source).register_forward_hook(lambda *found: seen.append(found[2]))
    seconds = []
    for step in range(STEPS + 1):
        rows = torch.arange(step * BATCH, (step + 1) * BATCH) % subject.n_images
        begun = time.perf_counter()
        images = subject.pixels[rows]
        seen.clear()
        with torch.no_grad():
            sender(images)
        value = seen[0]
        put = receiver.get_submodule(target).register_forward_hook(lambda *_, value=value: layer(value))
        loss = F.cross_entropy(receiver(images), labels[rows])
        put.remove()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - begun)
    taken.remove()
    return min(seconds[1:])


def test_an_epoch_into_every_target(subject, dumped, table):
    """Sources stream from the store, only the tail runs; the obvious way runs both networks; one thread each."""
    torch.set_num_threads(1)
    subject.network.requires_grad_(requires_grad=False)
    total = {"ours": 0.0, "obvious": 0.0}
    for target in BLOCKS:
        behind = StitchingTarget(folded(tail(subject.network, target)), dumped.labels)
        ours, obvious = [], []
        for source in SOURCES:
            layer = StitchingLayer.random(*shapes(dumped, source, target), seed=0)
            budget = TrainingBudget(steps=dumped.steps, batch_size=BATCH)
            begun = time.perf_counter()
            train([StitchTraining(layer, [dumped.sources[source]], budget)], behind)
            ours.append(time.perf_counter() - begun)
            obvious.append(obvious_step_s(subject, dumped, source, target) * dumped.steps)
        total["ours"] += sum(ours)
        total["obvious"] += sum(obvious)
        goal = {BLOCKS[0]: "≥ 1.5", BLOCKS[-1]: "≥ 20"}.get(target, "")
        table.add(figure=f"× faster into {target}", value=f"{sum(obvious) / sum(ours):.1f}", target=goal)
    table.add(
        figure="× faster, summed over all targets",
        value=f"{total['obvious'] / total['ours']:.1f}",
        target="≥ 2.5",
    )


def test_loading(subject, dumped, table, monkeypatch):
    """What steps wait for their batches: reading, checking, decoding, shuffling, as far as no other thread did it"""
    torch.set_num_threads(1)
    waits = []

    def waited(self):
        begun = time.perf_counter()
        batch = take(self)
        waits.append(time.perf_counter() - begun)
        return batch

    take = ReadAhead.__next__
    monkeypatch.setattr(ReadAhead, "__next__", waited)
    for target in (BLOCKS[0], BLOCKS[4], BLOCKS[-1]):
        behind = StitchingTarget(folded(tail(subject.network, target)), dumped.labels)
        cache, shares = SourceCache(), []
        for _ in range(2):
            waits.clear()
            begun = time.perf_counter()
            for source in SOURCES:
                layer = StitchingLayer.random(*shapes(dumped, source, target), seed=0)
                budget = TrainingBudget(steps=dumped.steps, batch_size=BATCH)
                train([StitchTraining(layer, [dumped.sources[source]], budget)], behind, cache=cache)
            shares.append(sum(waits) / (time.perf_counter() - begun))
        for share, epoch in zip(shares, ("first", "later"), strict=True):
            table.add(
                figure=f"share of waiting, into {target}, {epoch} epoch", value=f"{share:.3f}", target="≤ .10"
            )


@pytest.mark.parametrize("count", [1, 3, 9])
def test_stitches_at_once(subject, dumped, table, count):
    """What sharing the calls of the tail gains on a CPU; `make gpu` has the GPU's"""
    torch.set_num_threads(1)
    behind = StitchingTarget(folded(tail(subject.network, "layer2.1")), dumped.labels)

    def seconds(at_once):
        trainings = [
            StitchTraining(
                StitchingLayer.random(*shapes(dumped, source, "layer2.1"), seed=0),
                [dumped.sources[source]],
                TrainingBudget(steps=4, batch_size=BATCH),
            )
            for source in BLOCKS
        ]
        begun = time.perf_counter()
        train(trainings, behind, at_once=at_once)
        return time.perf_counter() - begun

    table.add(
        figure=f"× faster, {count} at once to one",
        value=f"{seconds(1) / seconds(count):.2f}",
        target="",
    )
