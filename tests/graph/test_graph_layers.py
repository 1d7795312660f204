"""A network's layers: their names, shapes and values, against PyTorch's own hooks."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names

from stitchpipe.graph import LayerError, TraceError, extractor, layers, select, tail
from tests.graph.small_networks import FAMILIES, cifar, images, resnet, vit


def by_hooks(network, batch):
    """Return layer name → a copy of every module's output, taken by forward hooks as it is made."""
    seen, handles = {}, []
    for path, module in network.named_modules():

        def keep(_, __, output, path=path):
            calls = sum(name == path or name.startswith(f"{path}:") for name in seen)
            if isinstance(output, torch.Tensor):
                seen[f"{path}:{calls}" if calls else path] = output.clone()

        if path:
            handles.append(module.register_forward_hook(keep))
    with torch.no_grad():
        network(batch)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_what_a_hook_on_its_module_sees(family):
    make, size = FAMILIES[family]
    network, batch = make(), images(size)
    infos = layers(network, batch[:1])
    expected = by_hooks(network, batch)
    assert {info.name for info in infos} <= set(expected)
    # Attention is one step of the graph: what is inside it is no layer.
    assert {
        name for name in set(expected) - {info.name for info in infos} if "self_attention" not in name
    } == set()
    values = extractor(network, [info.name for info in infos])(batch)
    for info in infos:
        assert torch.equal(values[info.name], expected[info.name]), info.name
        assert tuple(values[info.name].shape[1:]) == info.shape


def test_an_in_place_operation_after_a_layer_does_not_change_what_was_extracted():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2)).eval()
    batch = images(8)
    values = extractor(network, ["0", "1"])(batch)
    assert float(values["0"].min()) < 0
    assert torch.equal(values["0"], network[0](batch))
    assert torch.equal(values["1"], values["0"].clamp(min=0))


def test_layers_come_in_execution_order_with_the_shape_of_one_sample():
    infos = {info.name: info for info in layers(cifar(), images(12))}
    names = list(infos)
    assert (
        names.index("layer1.0.conv1")
        < names.index("layer1.0")
        < names.index("layer2.0")
        < names.index("linear")
    )
    assert infos["layer1.1"].shape == (4, 12, 12)
    assert infos["layer3.0"].shape == (8, 3, 3)
    assert infos["linear"].shape == (5,)


def test_tokens_keep_their_class_token():
    infos = {info.name: info for info in layers(vit(), images(16))}
    assert infos["encoder.layers.encoder_layer_1"].shape == (17, 12)
    assert infos["encoder.layers.encoder_layer_1"].is_cut
    assert not infos["encoder.layers.encoder_layer_1.ln_1"].is_cut
    assert "encoder.layers.encoder_layer_1.self_attention" not in infos


def test_outputs_that_are_not_one_per_image_are_no_layers():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut_up, self.table, self.head = nn.Unflatten(1, (2, 2)), Table(), nn.Linear(4, 2)
            self.project = nn.Linear(3, 4)
            self.merge = Merge()

        def forward(self, x):
            return self.head(self.merge(self.cut_up(self.project(x.mean((2, 3))) + self.table())))

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(1, 4))

        def forward(self):
            return self.weight

    class Merge(nn.Module):
        def __init__(self):
            super().__init__()
            self.apart, self.together = nn.Flatten(0, 1), nn.Unflatten(0, (-1, 2))

        def forward(self, x):
            return self.together(self.apart(x)).flatten(1)

    network = Windows()
    names = [info.name for info in layers(network, images(4, count=1))]
    assert names == ["project", "cut_up", "merge.together", "merge", "head"]
    with pytest.raises(LayerError, match=r"expected one output per image \(3\), found shape \(6, 2\)"):
        extractor(network, ["merge.apart"])(images(4))
    with pytest.raises(LayerError, match="one output per image"):
        extractor(network, ["table"])(images(4, count=5))


def test_a_tuple_is_no_layer():
    with pytest.raises(LayerError, match="whose output is one tensor, found a tuple"):
        extractor(vit(), ["encoder.layers.encoder_layer_0.self_attention"])(images(16))


def test_modes_and_running_statistics_are_left_as_they_were():
    network = resnet().train()
    network.layer1.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layers(network, images(32))
    assert network.training
    assert network.layer2[0].bn1.training
    assert not network.layer1[0].bn1.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_globs_select_in_the_network_s_order():
    known = layers(cifar(), images(12))
    assert select(known, ["layer?.?"]) == ["layer1.0", "layer1.1", "layer2.0", "layer3.0"]
    assert select(known, ["linear", "layer1.0", "layer1.?"]) == ["layer1.0", "layer1.1", "linear"]
    assert "layer1.0.conv1" in select(known, ["layer1*"])


def test_functions_inside_modules_are_layers_that_only_their_names_choose():
    network, batch = cifar(), images(12)
    known = layers(network, batch[:1], functions=True)
    functions = [info for info in known if info.is_function]
    assert [info for info in known if not info.is_function] == list(layers(network, batch[:1]))
    names = [info.name for info in functions]
    assert {"relu", "layer1.0.relu", "layer1.0.add", "layer1.0.relu_1", "mean"} <= set(names)
    assert names.index("layer1.0.relu") < names.index("layer1.0.add") < names.index("layer1.1.relu")
    assert not set(select(known, ["layer1*"])) & set(names)
    assert select(known, ["layer1.1", "layer1.0.add"]) == ["layer1.0.add", "layer1.1"]
    by_name = {info.name: info for info in functions}
    assert by_name["layer1.0.add"].is_cut
    assert by_name["layer1.0.relu"].why_no_cut == "relu crosses beside it"
    values = extractor(network, ["layer1.0.add", "layer1.0", "mean"])(batch)
    assert torch.equal(values["layer1.0.add"].clamp(min=0), values["layer1.0"])
    assert torch.equal(tail(network, "layer1.0.add")(values["layer1.0.add"]), values["logits"])
    with pytest.raises(LayerError, match="as inside a residual"):
        tail(network, "layer1.0.relu")


def test_functions_are_named_as_torchvision_names_its_nodes():
    network = resnet()
    _, theirs = get_graph_node_names(network)
    modules = {path for path, _ in network.named_modules()}
    known = layers(network, images(32), functions=True)
    ours = {info.name for info in known if info.is_function}
    assert ours == {name for name in theirs if name not in modules and "relu" not in name} - {"x"}


def test_a_function_called_like_a_submodule_has_a_name_of_its_own():
    class Clash(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Linear(48, 2)

        def forward(self, x):
            return self.flatten(x.flatten(1))

    network, batch = Clash(), images(4)
    assert [info.name for info in layers(network, batch, functions=True)] == ["flatten_1", "flatten"]
    assert torch.equal(extractor(network, ["flatten_1"])(batch)["flatten_1"], batch.flatten(1))


@pytest.mark.parametrize("glob", ["layre1.0", "layer9.?", "", "LAYER1.0"])
def test_a_glob_that_matches_nothing_is_refused(glob):
    with pytest.raises(LayerError) as refused:
        select(layers(cifar(), images(12)), ["layer?.?", glob])
    assert refused.value.where == f"layer glob '{glob}'"
    assert "layer" in refused.value.remedy


def test_an_unknown_layer_is_refused_with_the_nearest_names():
    with pytest.raises(LayerError, match=r"Did you mean .*layer1\.1"):
        extractor(cifar(), ["layer1.l"])


def test_the_name_of_the_logits_is_taken():
    with pytest.raises(LayerError, match="always comes along"):
        extractor(cifar(), ["logits"])


def test_images_that_the_network_does_not_take_are_one_clear_message():
    with pytest.raises(TraceError, match=r"takes images of shape \(1, 12, 12\).*channels") as refused:
        layers(cifar(), torch.rand(1, 1, 12, 12))
    assert "\n" not in str(refused.value)


def test_a_network_that_returns_no_tensor_is_refused():
    class Two(nn.Module):
        def forward(self, x):
            return {"logits": "high"}

    with pytest.raises(TraceError, match=r"returns a tensor, or a record that holds some, found a dict"):
        extractor(Two(), [])(images(4))


def test_other_threads_run_their_networks_while_one_is_traced():
    batch = images(12)
    other = cifar()

    class Meanwhile(nn.Module):
        """Runs networks in another thread in the middle of its own forward pass."""

        def __init__(self):
            super().__init__()
            self.inner, self.got = cifar(), []

        def forward(self, x):
            x = self.inner(x)
            worker = threading.Thread(target=lambda: self.got.extend([other(batch), self.inner(batch)]))
            worker.start()
            worker.join()
            return x

    network = Meanwhile()
    names = [info.name for info in layers(network, batch)]
    assert "inner.layer1.0" in names
    assert torch.equal(network.got[0], other(batch))
    assert torch.equal(network.got[1], network.inner(batch))
