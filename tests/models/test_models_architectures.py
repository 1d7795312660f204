"""Networks by name, and the CIFAR ResNet against its description."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stitchpipe.models import ArchitectureError, architectures, build, weights_digest

RESNET_20 = {"blocks": (3, 3, 3), "widths": (16, 32, 64)}


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("blocks", "million"), [(3, 0.27), (5, 0.46), (9, 0.85)])
def test_parameter_counts_are_those_of_the_paper(blocks, million):
    """He et al. 2016, table 6: ResNet-20, -32 and -56."""
    network = build("cifar_resnet", {"blocks": (blocks,) * 3}, seed=0)
    assert round(parameters(network) / 1e6, 2) == million


def test_keys_are_those_of_public_checkpoints():
    keys = set(build("cifar_resnet", RESNET_20, seed=0).state_dict())
    block = {"conv1.weight", "conv2.weight"}
    block |= {
        f"{norm}.{entry}"
        for norm in ("bn1", "bn2")
        for entry in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    expected = {
        f"layer{stage}.{number}.{key}" for stage in (1, 2, 3) for number in (0, 1, 2) for key in block
    }
    expected |= {key for key in block if key.startswith(("conv1", "bn1"))} | {"linear.weight", "linear.bias"}
    assert keys == expected


def test_the_forward_pass_is_that_of_the_paper():
    """Written out with functions alone: stem, blocks with shortcuts of option A, pooling, classifier."""
    torch.manual_seed(0)
    network = build("cifar_resnet", {"blocks": (1, 2), "widths": (4, 10), "num_classes": 3}, seed=3).double()
    state = {key: torch.rand_like(value) + 0.1 for key, value in network.state_dict().items() if value.ndim}
    network.load_state_dict(state, strict=False)

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / torch.sqrt(var + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None]

    def block(x, name, stride):
        y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
        y = norm(y, f"{name}.bn1").clamp(min=0)
        y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
        shortcut = x[:, :, ::stride, ::stride]
        if y.shape[1] != shortcut.shape[1]:
            zeros = torch.zeros(len(x), (y.shape[1] - shortcut.shape[1]) // 2, *y.shape[2:], dtype=x.dtype)
            shortcut = torch.cat([zeros, shortcut, zeros], dim=1)
        return (y + shortcut).clamp(min=0)

    images = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    x = norm(F.conv2d(images, state["conv1.weight"], padding=1), "bn1").clamp(min=0)
    x = block(x, "layer1.0", 1)
    x = block(block(x, "layer2.0", 2), "layer2.1", 1)
    logits = x.flatten(2).mean(2) @ state["linear.weight"].T + state["linear.bias"]
    torch.testing.assert_close(network(images), logits, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "grids", "widths"),
    [
        ({}, [12, 6, 3], [16, 32, 64]),
        ({"strides": [1, 1, 1]}, [12, 12, 12], [16, 32, 64]),
        ({"strides": [2, 2, 1], "widths": [8, 8, 8]}, [6, 3, 3], [8, 8, 8]),
        (
            {"blocks": [2, 2, 2, 2], "widths": [64, 128, 256, 512]},
            [12, 6, 3, 2],
            [64, 128, 256, 512],
        ),
    ],
)
def test_stages_of_other_strides_and_widths(options, grids, widths):
    network = build("cifar_resnet", options, seed=0)
    x, found = F.relu(network.bn1(network.conv1(torch.rand(1, 3, 12, 12)))), []
    for stage in range(1, network.stages + 1):
        x = getattr(network, f"layer{stage}")(x)
        found.append(tuple(x.shape[1:]))
    assert found == [(width, grid, grid) for width, grid in zip(widths, grids, strict=True)]
    assert network(torch.rand(2, 3, 12, 12)).shape == (2, 10)


def test_strides_change_no_weights():
    plain, constant = (
        build("cifar_resnet", {"widths": [8, 8, 8], **more}, seed=2) for more in ({}, {"strides": [1, 1, 1]})
    )
    assert weights_digest(plain) == weights_digest(constant)


@pytest.mark.parametrize("name", ["cifar_resnet", "resnet18", "mobilenet_v3_small"])
def test_weights_depend_on_the_seed_alone(name):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = weights_digest(build(name, {}, seed=7))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(10)
    assert weights_digest(build(name, {}, seed=7)) == one
    assert weights_digest(build(name, {}, seed=8)) != one


def test_networks_built_in_several_threads_are_those_built_one_by_one():
    expected = {seed: weights_digest(build("cifar_resnet", RESNET_20, seed=seed)) for seed in range(4)}
    found = {}

    def work(seed):
        found[seed] = weights_digest(build("cifar_resnet", RESNET_20, seed=seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_networks_come_in_eval_mode_with_the_options_asked_for():
    network = build("resnet18", {"num_classes": 10}, seed=0)
    assert not any(module.training for module in network.modules())
    assert isinstance(network.fc, nn.Linear)
    assert network.fc.out_features == 10


def test_only_classification_networks_are_listed():
    names = architectures()
    assert {"cifar_resnet", "resnet18", "vit_b_16", "swin_t", "maxvit_t"} <= set(names)
    assert not {"fasterrcnn_resnet50_fpn", "fcn_resnet50", "raft_large"} & set(names)


@pytest.mark.parametrize(
    ("name", "near"), [("resnet-18", "resnet18"), ("cifar-resnet", "cifar_resnet"), ("ViT_b_16", "vit_b_16")]
)
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    with pytest.raises(ArchitectureError, match="unknown name") as refused:
        build(name, {}, seed=0)
    assert f"'{near}'" in refused.value.remedy


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("cifar_resnet", {"depth": 20}, "depth"),
        ("cifar_resnet", {"blocks": (9000, 3, 3)}, "at most 1000 blocks"),
        ("cifar_resnet", {"blocks": (3, 3)}, "equal length"),
        ("cifar_resnet", {"strides": (1, 2)}, "equal length"),
        ("cifar_resnet", {"strides": (1, 2, 0)}, "positive"),
        ("cifar_resnet", {"widths": (64, 32, 16)}, "not decreasing"),
        ("cifar_resnet", {"blocks": "333"}, "'3'|str"),
        ("cifar_resnet", {"blocks": 3}, "int"),
        ("cifar_resnet", {"in_channels": 0}, "0"),
        ("resnet18", {"classes": 10}, "classes"),
        ("resnet18", {"pretrained": True}, "pretrained"),
        ("resnet18", {"weights": "IMAGENET1K_V1"}, "weights"),
        ("resnet18", {"num_classes": -1}, "-1"),
        ("vit_b_16", {"image_size": 30}, "image_size|30"),
    ],
)
def test_options_that_do_not_fit_are_one_clear_message(name, options, found):
    with pytest.raises(ArchitectureError, match=found) as refused:
        build(name, options, seed=0)
    assert refused.value.where == f"architecture '{name}'"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MOST_TENSORS", 40, "more than 40 parameters: layers beyond number"),
        ("psutil.virtual_memory", lambda: SimpleNamespace(total=2048), "more than the 2 KiB of memory"),
    ],
    ids=["layers", "memory"],
)
def test_networks_beyond_reason_are_refused_while_they_are_built(monkeypatch, name, value, said):
    options = {"in_channels": 1, "blocks": [9, 9, 9], "num_classes": 3}
    before = build("cifar_resnet", options, seed=0)
    with monkeypatch.context() as patched:
        patched.setattr(f"stitchpipe.models.bounded_building.{name}", value)
        with pytest.raises(ArchitectureError, match=f"architecture 'cifar_resnet'.*{said}") as refused:
            build("cifar_resnet", options, seed=0)
        torch.nn.Sequential(
            *(torch.nn.Linear(2, 2) for _ in range(100))
        )  # other people's modules are not counted
    assert "\n" not in str(refused.value)
    again = build("cifar_resnet", options, seed=0)
    assert all(map(torch.equal, before.parameters(), again.parameters()))
