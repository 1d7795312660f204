"""`stitchpipe layers`: what a network's layers are called, what they hold, and where it can be cut."""

from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console
from torch import nn

from stitchpipe import cli
from stitchpipe.cli.layer_tables import Listing, described, document, listing, only_cuts
from stitchpipe.config import ConfigError
from stitchpipe.graph import inspect, layers
from stitchpipe.models import WeightsError, build, weights_bytes
from tests.cli.command import refused, stitchpipe
from tests.graph.branched_networks import TwoBranches, made

SMALL = ("blocks=[1, 1]", "widths=[4, 6]", "num_classes=3")


def printed(found, width=80):
    written = io.StringIO()
    Console(width=width, file=written).print(listing(found))
    return written.getvalue()


def rows(found):
    """Return name → the rest of its line."""
    lines = [line.split(maxsplit=1) for line in printed(found, 200).splitlines()]
    return {line[0]: " ".join(line[1].split()) for line in lines if len(line) == 2}


def test_a_table_names_shapes_layouts_and_cuts_and_fits_into_80_columns():
    found = described("cifar_resnet", options=SMALL, size="12x8")
    text = printed(found)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "cifar_resnet, images 3 × 12 × 8: 15 layers, 7 of them cuts" in text
    table = rows(found)
    assert table["layer2.0"] == "6 × 6 × 4 image 6x4 cut"
    assert table["layer1.0.conv2"] == "4 × 12 × 8 image 12x8 no: relu crosses beside it"
    assert table["linear"] == "3 vector cut"


def test_tokens_and_channels_last():
    table = rows(described("vit_b_32", options=["image_size=64"]))
    assert table["encoder.layers.encoder_layer_3"] == "5 × 768 tokens 1+2x2 cut"
    table = rows(only_cuts(described("swin_t", size="64")))
    assert table["features.1"] == "96 × 16 × 16 image 16x16, channels last cut"
    assert "features.1.0.mlp.0" not in table


def test_functions_are_listed_on_request():
    assert "layer1.0.add" not in rows(described("cifar_resnet", options=SMALL, size="8"))
    with_nodes = described("cifar_resnet", options=SMALL, size="8", nodes=True)
    assert rows(with_nodes)["layer1.0.add"] == "4 × 8 × 8 image 8x8 cut"
    record = next(one for one in document(with_nodes)["layers"] if one["name"] == "layer1.0.add")
    assert record["is_function"]


def test_json_holds_what_layers_returns():
    found = described("cifar_resnet", options=SMALL, size="8")
    record = json.loads(json.dumps(document(found)))
    assert (record["model"], record["image"], record["by_hooks"]) == ("cifar_resnet", [3, 8, 8], "")
    network = build("cifar_resnet", {"blocks": [1, 1], "widths": [4, 6], "num_classes": 3}, seed=0)
    expected = layers(network, torch.zeros(1, 3, 8, 8))
    assert [one["name"] for one in record["layers"]] == [info.name for info in expected]
    assert [tuple(one["shape"]) for one in record["layers"]] == [info.shape for info in expected]
    assert [one["is_cut"] for one in record["layers"]] == [info.is_cut for info in expected]
    assert {one["layout"] for one in record["layers"]} == {"image", "vector"}


def test_a_network_that_does_not_trace_says_so():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(x.mean((2, 3)) if bool(x.isfinite().all()) else x.sum((2, 3)))

    known = layers(Branch(), torch.zeros(1, 3, 4, 4))
    text = printed(Listing("branch", (3, 4, 4), known), 200)
    assert "by hooks: torch.fx cannot trace it: " in text


def test_joint_cuts_are_listed_below_the_layers():
    known = inspect(made(TwoBranches), torch.zeros(1, 3, 8, 8))
    found = only_cuts(Listing("two", known.image, known.layers, known.joint_cuts))
    lines = [line.split() for line in printed(found).splitlines()]
    assert ["joint", "cut", "layers"] in lines
    assert ["left+right", "2"] in lines
    assert all(len(line) <= 80 for line in printed(found).splitlines())
    record = json.loads(json.dumps(document(found)))["joint_cuts"][-1]
    assert record == {"name": "left+right", "layers": ["left", "right"]}
    assert "joint cut" not in printed(Listing("two", known.image, known.layers))


@pytest.mark.parametrize(
    ("model", "given", "hint"),
    [
        ("cifar_resnet", {"options": ["blocks"]}, "key=value"),
        ("cifar_resnet", {"size": "8x"}, "64x96"),
        ("cifar_resnet", {"size": "0"}, "64x96"),
        ("quickstart:D", {}, "A, B, C"),
        ("quickstart:A", {"size": "8"}, "the sweep has its own"),
    ],
)
def test_mistakes_say_what_to_write(model, given, hint):
    with pytest.raises(ConfigError, match=hint):
        described(model, **given)


def test_a_checkpoint_is_held_against_the_architecture(tmp_path):
    network = build("cifar_resnet", {"blocks": [1], "widths": [4]}, seed=0)
    (tmp_path / "a.safetensors").write_bytes(weights_bytes(network))
    described(
        "cifar_resnet", options=["blocks=[1]", "widths=[4]"], size="8", weights=tmp_path / "a.safetensors"
    )
    with pytest.raises(WeightsError, match="of another shape"):
        described("cifar_resnet", options=["blocks=[1]", "widths=[5]"], weights=tmp_path / "a.safetensors")


def test_a_model_of_a_sweep_is_listed_on_its_own_images():
    found = described("quickstart:A")
    assert found.image == (1, 8, 8)
    assert "layer2.0" in {info.name for info in found.layers if info.is_cut}


def test_the_command(capsys):
    with pytest.raises(SystemExit) as done:
        cli.app(["layers", "cifar_resnet", "--options", "num_classes=3", "--options", "blocks=[1]", "--options",
                 "widths=[4]", "--size", "8", "--cuts", "--format", "json"])  # fmt: skip
    assert done.value.code in {0, None}
    record = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in record["layers"]] == ["conv1", "bn1", "layer1.0", "layer1", "linear"]


def test_help_teaches_and_a_mistake_is_one_message():
    text = stitchpipe("layers", "--help").stdout
    assert "stitchpipe layers quickstart:A" in text
    assert "stitched into" in text
    assert "Did you mean 'resnet18'" in refused("layers", "resnet-18")


def test_a_control_has_no_layers_of_a_network(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(
        'name = "x"\ndata = { kind = "digits" }\n[[models]]\nname = "codes"\ncontrol = { kind = "random_codes" }\n'
    )
    with pytest.raises(ConfigError, match="a model with a network, found a control"):
        described(f"{path}:codes")
