"""Where a network may be cut, and that what lies behind a cut gives what the whole network gives."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.fx
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.graph import PENULTIMATE, LayerError, extractor, layers, tail
from stitchpipe.graph.trace import Traced, trace
from stitchpipe.models import weights_digest
from tests.graph.small_networks import (
    FAMILIES,
    InPlaceUnused,
    Reused,
    SharedScale,
    cifar,
    images,
    lively,
    resnet,
)

BLOCKS = ["layer1.0", "layer1.1", "layer1", "layer2.0", "layer2", "layer3.0", "layer3"]


def cuts_of(network, batch):
    return [info.name for info in layers(network, batch[:1]) if info.is_cut]


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()  # attention takes another path, to other last digits, where gradients are wanted
def test_head_then_tail_is_the_whole_at_every_cut(family):
    make, size = FAMILIES[family]
    network, batch = make(), images(size)
    whole = network(batch)
    cuts = cuts_of(network, batch)
    assert len(cuts) >= 4
    values = extractor(network, cuts)(batch)
    assert torch.equal(values["logits"], whole)
    for name in cuts:
        assert torch.equal(tail(network, name, example=batch[:1])(values[name]), whole), name


def test_tails_take_any_number_of_images():
    network, batch = FAMILIES["vit"][0](), images(16, count=5)
    name = "encoder.layers.encoder_layer_0"
    values = extractor(network, [name])(batch)
    behind = tail(network, name)
    torch.testing.assert_close(behind(values[name][:1]), values["logits"][:1], rtol=1e-5, atol=1e-6)
    assert behind(values[name]).shape == (5, 5)


def test_the_cuts_of_a_residual_network_are_its_stem_blocks_stages_and_logits():
    assert cuts_of(cifar(), images(12)) == ["conv1", "bn1", *BLOCKS, "linear"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("layer1.0.conv1", ["bn1", "conv1", "layer1.0"]),
        ("layer1.0.bn2", ["layer1.0"]),
        ("layer3.0.conv2", ["layer2", "layer3.0"]),
    ],
)
def test_a_layer_inside_a_residual_is_refused_and_the_nearest_cuts_are_named(name, near):
    with pytest.raises(LayerError, match="as inside a residual") as refused:
        tail(cifar(), name)
    assert refused.value.where == f"layer '{name}'"
    assert all(cut in refused.value.remedy for cut in near)


def test_a_downsampling_branch_is_refused():
    with pytest.raises(LayerError, match="2 values that cross there"):
        tail(resnet(), "layer2.0.downsample")


def test_a_layer_that_nothing_uses_is_refused():
    with pytest.raises(LayerError, match="nothing behind it uses"):
        tail(SharedScale(), "idle")


def test_a_misspelt_layer_is_refused_with_the_nearest_names():
    with pytest.raises(LayerError, match=r"Did you mean .*layer1\.0"):
        tail(cifar(), "layer1.O")


def test_a_parameter_used_on_both_sides_of_a_cut_is_in_the_tail():
    torch.manual_seed(0)
    network, batch = SharedScale(), images(4)
    values = extractor(network, ["inner"])(batch)
    behind = tail(network, "inner")
    assert torch.equal(behind(values["inner"]), network(batch))
    assert {name for name, _ in behind.named_parameters()} >= {"scale", "head.weight"}
    assert "inner.weight" not in dict(behind.named_parameters())


def test_in_place_operations_behind_a_cut_do_their_work_and_leave_the_activations_alone():
    torch.manual_seed(0)
    network, batch = InPlaceUnused().eval(), images(8)
    whole = network(batch)
    for name in ("first", "second"):
        activations = extractor(network, [name])(batch)[name]
        before = activations.clone()
        assert float(before.min()) < 0
        assert torch.equal(tail(network, name)(activations), whole)
        assert torch.equal(activations, before)


def test_a_tail_is_frozen_in_eval_mode_and_shares_nothing_with_the_network():
    network = cifar().train()
    digest = weights_digest(network)
    behind = tail(network, "layer2.0")
    assert network.training
    assert network.layer1[0].bn1.training
    assert not any(module.training for module in behind.modules())
    assert not any(parameter.requires_grad for parameter in behind.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        for parameter in behind.parameters():
            parameter.zero_()
    assert weights_digest(network) == digest


def test_a_tail_holds_no_parameters_of_the_head():
    names = {name for name, _ in tail(cifar(), "layer2.0").named_parameters()}
    assert {name.split(".")[0] for name in names} == {"layer3", "linear"}


def test_gradients_flow_through_a_tail_to_its_input():
    network, batch = resnet(), images(32)
    activations = extractor(network, ["layer4.0"])(batch)["layer4.0"].clone().requires_grad_()
    tail(network, "layer4.0")(activations).sum().backward()
    assert float(activations.grad.abs().sum()) > 0


def test_a_network_cut_behind_a_reused_module():
    torch.manual_seed(0)
    network, batch = Reused(), images(4)
    names = [info.name for info in layers(network, batch[:1])]
    assert [name for name in names if name.startswith("turn") and "." not in name] == [
        "turn",
        "turn:1",
        "turn:2",
    ]
    values = extractor(network, ["turn", "turn:1", "turn:2"])(batch)
    values = {name: value.clone() for name, value in values.items()}
    assert torch.equal(values["turn:1"], network.turn(values["turn"]))
    assert torch.equal(values["turn:2"], values["logits"])
    assert torch.equal(tail(network, "turn:1")(values["turn:1"]), values["logits"])


def test_the_order_of_modules_in_the_class_does_not_matter():
    network = cifar()
    shuffled = copy.deepcopy(network)
    shuffled.linear = shuffled._modules.pop("linear")
    shuffled.conv1 = shuffled._modules.pop("conv1")
    assert layers(shuffled, images(12)) == layers(network, images(12))


@given(st.data())
def test_crossing_values_are_those_made_before_and_used_behind(data):
    graph = torch.fx.Graph()
    made = [graph.placeholder("x")]
    for _ in range(data.draw(st.integers(1, 12))):
        parameter = data.draw(st.booleans())
        one, other = (data.draw(st.sampled_from(made)) for _ in range(2))
        made.append(graph.get_attr("weight") if parameter else graph.call_function(torch.add, (one, other)))
    graph.output(data.draw(st.sampled_from(made)))
    root = torch.nn.Module()
    root.weight = torch.nn.Parameter(torch.zeros(1))
    traced = Traced(root, graph, {})
    nodes = list(graph.nodes)
    of_images: set[torch.fx.Node] = set()  # the images, and all that something made of them goes into
    for node in nodes:
        if node.op == "placeholder" or of_images & set(node.all_input_nodes):
            of_images.add(node)
    for place, node in enumerate(nodes):
        before, behind = nodes[: place + 1], nodes[place + 1 :]
        crossing = {
            one for one in before if one in of_images and any(one in user.all_input_nodes for user in behind)
        }
        assert traced.crossing(node) == len(crossing)
        assert set(traced.needed(node)) == crossing
        assert traced.is_cut(node) == (crossing == {node})


def test_tracing_twice_gives_the_same_names():
    network = lively(cifar())
    assert list(trace(network).outputs) == list(trace(network).outputs)


@torch.inference_mode()
def test_a_tail_gives_the_layers_that_it_runs_through():
    network, batch = cifar(), images(12)
    names = ["layer2.0", "layer3"]
    values = extractor(network, ["layer1", *names])(batch)
    *through, last, logits = tail(network, "layer1", through=[*names, PENULTIMATE])(values["layer1"])
    assert torch.equal(logits, values["logits"])
    for name, found in zip(names, through, strict=True):
        assert torch.equal(found, values[name])
    assert torch.equal(last, values["layer3"].mean((2, 3)))


def test_what_a_tail_runs_through_lies_behind_its_cut():
    with pytest.raises(LayerError, match="behind 'layer2.0'"):
        tail(cifar(), "layer2.0", through=["layer1"])


def test_a_network_without_a_linear_layer_has_nothing_before_the_last_one():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.Flatten())
    with pytest.raises(LayerError, match="linear"):
        tail(network, "0", through=[PENULTIMATE])
