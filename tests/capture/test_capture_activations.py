"""Activations in memory: in the loader's order, of several networks side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stitchpipe.capture import CaptureError, activations_of, paired_activations
from stitchpipe.graph import LayerError
from stitchpipe.models import build

IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
OPTIONS = {"blocks": (1,), "widths": (4,), "in_channels": 1}


def network(seed=0):
    return build("cifar_resnet", OPTIONS, seed=seed)


@pytest.mark.parametrize("form", ["tensors", "pairs", "loader"])
def test_activations_come_in_the_loader_s_order(form):
    labels = torch.arange(20)
    batches = {
        "tensors": IMAGES.split(6),
        "pairs": list(zip(IMAGES.split(6), labels.split(6), strict=True)),
        "loader": DataLoader(TensorDataset(IMAGES, labels), batch_size=6),
    }[form]
    model = network()
    values = activations_of(model, batches, ["layer1.0", "linear"])
    assert list(values) == ["layer1.0", "linear"]
    assert values["layer1.0"].shape == (20, 4, 8, 8)
    with torch.no_grad():
        np.testing.assert_allclose(values["linear"], model(IMAGES).numpy(), rtol=1e-5, atol=1e-6)


def test_two_networks_see_the_same_images_of_a_loader_that_shuffles():
    loader = DataLoader(TensorDataset(IMAGES), batch_size=6, shuffle=True)
    one, same = network(), network()
    together = paired_activations({"A": one, "B": same}, loader, {"A": ["linear"], "B": ["linear"]})
    assert np.array_equal(together["A"]["linear"], together["B"]["linear"])
    apart = [activations_of(one, loader, ["linear"])["linear"] for _ in range(2)]
    assert not np.array_equal(*apart)


def test_each_network_has_layers_of_its_own():
    found = paired_activations(
        {"A": network(0), "B": network(1)}, [IMAGES], {"A": ["conv1"], "B": ["bn1", "conv1"]}
    )
    assert {name: list(values) for name, values in found.items()} == {"A": ["conv1"], "B": ["bn1", "conv1"]}
    assert not np.array_equal(found["A"]["conv1"], found["B"]["conv1"])


def test_modes_and_running_statistics_are_left_as_they_were():
    model = network().train()
    model.layer1.eval()
    before = model.bn1.running_mean.clone()
    values = activations_of(model, [IMAGES], ["linear"])
    assert model.training
    assert model.bn1.training
    assert not model.layer1[0].bn1.training
    assert torch.equal(model.bn1.running_mean, before)
    assert np.array_equal(values["linear"], activations_of(model.eval(), [IMAGES], ["linear"])["linear"])


def test_an_empty_loader_is_refused():
    with pytest.raises(CaptureError, match="at least one batch"):
        activations_of(network(), [], ["linear"])


def test_a_network_that_draws_random_numbers_is_refused():
    class Random(nn.Module):
        def forward(self, x):
            return torch.rand_like(x)

    model = nn.Sequential(Random(), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(CaptureError, match="draws random numbers"):
        activations_of(model, [IMAGES], ["2"])


def test_an_unknown_layer_is_refused_and_the_mode_is_left():
    model = network().train()
    with pytest.raises(LayerError, match="linear"):
        activations_of(model, [IMAGES], ["linaer"])
    assert model.training
