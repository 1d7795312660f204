"""The detector of foreign representations: its training, and the energies that one network gives on both devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stitchpipe.ood import DetectorBudget, FirstSamples, classifier_of, energies, train_detector
from stitchpipe.rows import grid_of
from tests.benchmarks.gpu.device import CPU, Row, Work, flops_of, seconds_of
from tests.benchmarks.gpu.dumping import layers_of
from tests.benchmarks.gpu.stitches import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stitchpipe.ood.detector.network import RepresentationClassifier
    from tests.benchmarks.gpu.size import Size

CLASSES = 10
ENERGIES = 1e-4
"""Of the largest energy: one forward pass in float32."""
LOSSES = 0.05
"""Of the loss of the last epoch: steps at a rate of .1 let rounding grow."""


def rows(device: torch.device, size: Size, dumped: Path) -> Iterator[Row]:
    """Yield a row for training and one for energies; `dumped` is a store of all blocks."""
    samples, few, many = size.detector
    native = FirstSamples(layers_of(dumped)[TARGET], samples)
    network, loss = _trained(native, CPU, few)  # reads the samples, once and for all
    cpu_s = seconds_of(lambda: _trained(native, CPU, few), CPU, repeats=1)
    _, found = _trained(native, device, few)
    device_s = seconds_of(lambda: _trained(native, device, many), device, repeats=1)
    seen = 2 * native.n_samples  # an epoch of cross-entropy alone, and one of fine-tuning
    values = float(np.prod(native.shape[1:]))
    flops = flops_of(lambda: _trained(native, CPU, 1))
    yield Row(
        f"detector, trained on {native.n_samples} samples",
        "sample of an epoch",
        device_s / (seen * many),
        cpu_s / (seen * few),
        # Fine-tuning takes two foreign samples beside each native one, so that two epochs bring four of them.
        Work(flops / seen, "float32", 2 * 4 * values),
        abs(found - loss) / loss,
        LOSSES,
    )
    yield _energies(network, native, device)


def _trained(
    native: FirstSamples, device: torch.device, epochs: int
) -> tuple[RepresentationClassifier, float]:
    """Train for some epochs of each phase; return the network and the last loss."""
    budget = DetectorBudget(epochs=epochs, finetune_epochs=epochs, batch_size=min(128, native.n_samples // 2))
    labels = np.random.default_rng(0).integers(0, CLASSES, native.n_samples)
    labels[:CLASSES] = range(CLASSES)
    network = classifier_of(native, grid_of(native.shape[1:]), CLASSES, seed=0).to(device)
    training = train_detector(
        network, native, labels, _foreign(native, 2 * budget.batch_size), budget, on_epoch=lambda _: None
    )
    return network, training.finetune_final_loss


def _foreign(native: FirstSamples, count: int) -> Iterator[torch.Tensor]:
    """Yield noise in the shape of the native samples, the same for every training."""
    rng = np.random.default_rng(1)
    block = torch.from_numpy(rng.standard_normal((count, *native.shape[1:]), dtype=np.float32))
    while True:
        yield block


def _energies(network: RepresentationClassifier, native: FirstSamples, device: torch.device) -> Row:
    block = torch.from_numpy(native.read(0).astype(np.float32))
    expected, cpu_s = energies(network, block), seconds_of(lambda: energies(network, block), CPU)
    flops = flops_of(lambda: network(block[:1]))
    network.to(device)
    found = energies(network, block)
    device_s = seconds_of(lambda: energies(network, block), device)
    return Row(
        "detector, energies",
        "sample",
        device_s / len(block),
        cpu_s / len(block),
        Work(flops, "float32", float(block[0].nbytes)),
        float(np.abs(expected - found).max() / np.abs(expected).max()),
        ENERGIES,
    )
