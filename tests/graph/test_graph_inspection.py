"""A network is inspected once: the record, written as JSON and read again, says all that the network would."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from stitchpipe.graph import InspectionError, TraceError, extractor, inspect, layers, select
from stitchpipe.graph.inspection import Inspection
from stitchpipe.models import build
from tests.graph.small_networks import cifar, images, resnet, vit


def hugging_face():
    options = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "image_size": 32,
        "patch_size": 8,
        "num_classes": 5,
    }
    return build("hf/vit", options, seed=0)


def channels_last():
    options = {"img_size": 64, "window_size": 4, "depths": [1, 1], "num_heads": [2, 2], "embed_dim": 16}
    return build("timm/swin_tiny_patch4_window7_224", {"num_classes": 5, **options}, seed=0)


NETWORKS = {
    "cifar_resnet": (cifar, 12, 5, "fx"),
    "resnet18": (resnet, 32, 7, "fx"),
    "vit": (vit, 16, 5, "fx"),
    "swin": (channels_last, 64, 5, "fx"),
    "hf/vit": (hugging_face, 32, 5, "hooks"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_record_read_again_says_what_the_network_says(name):
    make, size, width, traced_by = NETWORKS[name]
    network = make()
    found = inspect(network, images(size, 1))
    read = Inspection.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert read == found
    assert (read.image, read.output_width, read.traced_by) == ((3, size, size), width, traced_by)
    assert read.network == type(network).__name__
    assert bool(read.by_hooks) == (traced_by == "hooks")
    everything = layers(network, images(size, 1), functions=True)
    assert read.layers == everything
    assert [info.grid for info in read.layers] == [info.grid for info in everything]
    assert read.cuts == tuple(info.name for info in everything if info.is_cut)
    assert len(read.cuts) >= 5
    assert len({type(value) for info in read.layers for value in info.shape}) == 1
    names = select(read.layers, ["*"])
    values = extractor(network, names)(images(size, 2))
    shapes = {info.name: info.shape for info in read.layers}
    assert all(tuple(values[layer].shape[1:]) == shapes[layer] for layer in names)


def test_what_hooks_and_odd_grids_add_is_in_the_record():
    read = {
        name: Inspection.from_dict(inspect(make(), images(size, 1)).to_dict())
        for name, (make, size, _, _) in NETWORKS.items()
    }
    assert read["hf/vit"].by_hooks.startswith("torch.fx cannot trace it")
    assert all(info.by_hooks == read["hf/vit"].by_hooks for info in read["hf/vit"].layers)
    assert any(info.channels_last for info in read["swin"].layers)
    assert any(info.why_no_cut for info in read["resnet18"].layers)
    assert any(info.is_function for info in read["resnet18"].layers)
    assert {info.name: info.grid for info in read["vit"].layers}["encoder.layers.encoder_layer_0"] == (
        1,
        4,
        4,
    )


def test_an_output_that_is_no_table_of_logits_has_no_width():
    assert inspect(nn.Sequential(nn.Conv2d(3, 4, 3)), images(8, 1)).output_width is None


def test_a_network_that_does_not_take_the_images_has_no_inspection():
    with pytest.raises(TraceError):
        inspect(cifar(), torch.rand(1, 5, 8, 8))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "expected version 3, found version 2"),
        ({"version": None}, "found version None"),
        ({"layers": None}, "TypeError"),
        ({"layers": [{"name": "a"}]}, "KeyError"),
        ({"layers": [{"name": "a", "shape": ["x"], "is_cut": True}]}, "ValueError"),
        ({"joint_cuts": 3}, "TypeError"),
        ({"image": 3}, "TypeError"),
        ({"output_width": "ten"}, "ValueError"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_message(change, text):
    record = inspect(cifar(), images(12, 1)).to_dict() | change
    with pytest.raises(InspectionError, match=text) as refused:
        Inspection.from_dict(record)
    assert str(refused.value).endswith("Inspect the network again.")
    assert "\n" not in str(refused.value)


def test_a_record_without_a_field_names_it():
    record = inspect(cifar(), images(12, 1)).to_dict()
    del record["by_hooks"]
    with pytest.raises(InspectionError, match="by_hooks"):
        Inspection.from_dict(record)
