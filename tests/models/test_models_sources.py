"""Networks of timm, Hugging Face and installed packages, and published weights: all of it without a network."""

from __future__ import annotations

import importlib.util
from importlib import metadata

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stitchpipe.graph import extractor, inspect, layers, tail
from stitchpipe.models import ArchitectureError, WeightsError, build, published, takes_classes, weights_digest

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 32,
    "patch_size": 8,
    "num_classes": 5,
}
NETWORKS = {
    "timm/resnet10t": ({"num_classes": 5}, 32, ""),
    "timm/vit_tiny_patch16_224": ({"num_classes": 5, "img_size": 32, "depth": 2}, 32, ""),
    "timm/swin_tiny_patch4_window7_224": (
        {"num_classes": 5, "img_size": 64, "window_size": 4, "depths": [1, 1], "num_heads": [2, 2], "embed_dim": 16},
        64,
        "",
    ),
    "hf/vit": (VIT, 32, "torch.fx cannot trace it: "),
    "hf/deit": (VIT, 32, "torch.fx cannot trace it: "),  # the library has two classifiers of it
    "hf/convnext": (
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "num_classes": 5},
        32,
        "torch.fx cannot trace it: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_networks_of_other_libraries_are_cut_like_any(name):
    options, size, by_hooks = NETWORKS[name]
    network = build(name, options, seed=3)
    assert not any(module.training for module in network.modules())
    batch = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    whole = network(batch)
    assert whole.shape == (2, 5)
    assert not torch.allclose(whole[0], whole[1], rtol=0, atol=1e-4)
    known = layers(network, batch[:1])
    assert all(info.by_hooks.startswith(by_hooks) and bool(info.by_hooks) == bool(by_hooks) for info in known)
    values = extractor(network, [info.name for info in known])(batch)
    assert torch.equal(values["logits"], whole)
    cuts = [info for info in known if info.is_cut]
    assert len(cuts) >= 5
    for info in known:
        assert values[info.name].shape[1:] == info.shape
    for info in (cuts[0], cuts[len(cuts) // 2], cuts[-2]):
        found = tail(network, info.name, example=batch[:1])(values[info.name])
        torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


def test_blocks_of_a_timm_transformer_are_cuts_although_its_forward_pass_takes_a_mask():
    network = build("timm/vit_tiny_patch16_224", NETWORKS["timm/vit_tiny_patch16_224"][0], seed=0)
    known = {info.name: info for info in layers(network, torch.rand(1, 3, 32, 32))}
    assert known["blocks.0"].is_cut
    assert known["blocks.0"].grid == (1, 2, 2)


def test_networks_that_declare_channels_last_are_believed():
    options = NETWORKS["timm/swin_tiny_patch4_window7_224"][0]
    network = build("timm/swin_tiny_patch4_window7_224", options, seed=0)
    known = {info.name: info for info in layers(network, torch.rand(1, 3, 64, 64))}
    assert known["layers.0"].channels_last
    assert known["layers.0"].shape == (16, 16, 16)


@pytest.mark.parametrize("name", ["timm/resnet10t", "hf/vit"])
def test_weights_depend_on_the_seed_alone(name):
    options = NETWORKS[name][0]
    one = weights_digest(build(name, options, seed=7))
    torch.rand(10)
    assert weights_digest(build(name, options, seed=7)) == one
    assert weights_digest(build(name, options, seed=8)) != one


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("timm/resnet_18", {}, "'timm/resnet18'"),
        ("timm/resnet18", {"wdth": 3}, "wdth"),
        ("hf/vit", {"hidden_sze": 3}, "Did you mean 'hidden_size'?"),
        ("hf/./nowhere", {}, "nowhere"),
        ("timm/", {}, "unknown name"),
    ],
)
def test_unknown_names_and_options_are_one_message(name, options, hint, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ArchitectureError) as refused:
        build(name, options, seed=0)
    assert hint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "extra"), [("timm/resnet18", "timm"), ("hf/vit", "hf")])
def test_a_library_that_is_not_installed_is_one_message(name, extra, monkeypatch):
    monkeypatch.setattr("stitchpipe.models.extras.find_spec", lambda _: None)
    with pytest.raises(ArchitectureError, match=rf"pip install 'stitchpipe\[{extra}\]'"):
        build(name, {}, seed=0)
    assert importlib.util.find_spec("torch")


class Mine(nn.Sequential):
    """A user's own network."""

    def __init__(self, width=4, num_classes=2):
        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, num_classes))


def plain(width):
    return Mine(width)


@pytest.fixture
def installed(monkeypatch):
    """Register networks as an installed package does."""
    made = {"mine": Mine, "plain": plain, "wrong": lambda: 3, "resnet18": Mine}
    points = [metadata.EntryPoint(name, f"package:{name}", "stitchpipe.models") for name in [*made, "broken"]]

    def load(point):
        if point.name == "broken":
            raise ImportError("no module named package")
        return made[point.name]

    monkeypatch.setattr(metadata.EntryPoint, "load", load)
    monkeypatch.setattr(
        "stitchpipe.plugins.entry_points_of", lambda group: points if group == "stitchpipe.models" else []
    )


@pytest.mark.usefixtures("installed")
def test_networks_of_installed_packages_are_built_with_their_options():
    network = build("mine", {"width": 6, "num_classes": 7}, seed=0)
    assert isinstance(network, Mine)
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 7)
    assert weights_digest(network) == weights_digest(build("mine", {"width": 6, "num_classes": 7}, seed=0))
    assert takes_classes("mine")
    assert not takes_classes("plain")
    assert takes_classes("cifar_resnet")
    assert not isinstance(build("resnet18", {}, seed=0), Mine), "the library's own names come first"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("wrong", {}, "found a int"),
        ("broken", {}, "no module named package"),
        ("mine", {"depth": 3}, "depth"),
        ("mime", {}, "'mine'"),
    ],
)
def test_an_entry_point_that_gives_no_network_is_one_message(name, options, hint):
    with pytest.raises(ArchitectureError, match=hint):
        build(name, options, seed=0)


def test_published_weights_of_torchvision_are_read_from_the_hub_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    other = build("squeezenet1_1", {}, seed=5)
    (tmp_path / "checkpoints").mkdir()
    torch.save(other.state_dict(), tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    for weights in ("IMAGENET1K_V1", "DEFAULT", True):
        assert weights_digest(published("squeezenet1_1", {}, weights)) == weights_digest(other)
    with pytest.raises(WeightsError, match="IMAGENET1K_V1, DEFAULT"):
        published("squeezenet1_1", {}, "IMAGENET1K_V9")
    with pytest.raises(WeightsError, match="num_classes"):
        published("squeezenet1_1", {"num_classes": 3}, True)


def test_published_weights_that_hold_code_are_refused_unrun(tmp_path, monkeypatch):
    class Canary:
        def __reduce__(self):
            return open, (str(tmp_path / "canary"), "w")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save({"weight": Canary()}, tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(WeightsError):
        published("squeezenet1_1", {}, True)
    assert not (tmp_path / "canary").exists()


def test_a_download_that_fails_is_one_message(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsError, match="Name or service not known.*load a file as `weights`") as refused:
        published("resnet18", {}, True)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["cifar_resnet", "resnet_18"])
def test_only_libraries_publish_weights(name):
    with pytest.raises(ArchitectureError, match="`pretrained` of another|unknown name"):
        published(name, {}, True)


def test_published_weights_of_timm(tmp_path):
    other = build("timm/resnet10t", {}, seed=5)
    save_file(other.state_dict(), tmp_path / "model.safetensors")
    source = {"pretrained_cfg_overlay": {"file": str(tmp_path / "model.safetensors")}}
    assert weights_digest(published("timm/resnet10t", source, True)) == weights_digest(other)
    with pytest.raises(WeightsError, match="1000 classes"):
        published("timm/resnet10t", {**source, "num_classes": 3}, True)
    with pytest.raises(WeightsError, match="no_such_tag"):
        published("timm/resnet10t", source, "no_such_tag")


def test_a_folder_that_hugging_face_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    other = build("hf/vit", VIT, seed=5)
    other.save_pretrained(tmp_path / "saved")
    place = str(tmp_path / "saved")
    batch = torch.rand(2, 3, 32, 32)
    for network in (published(f"hf/{place}", {}, True), published("hf/vit", {}, place)):
        assert weights_digest(network) == weights_digest(other)
        assert torch.equal(network(batch), other(batch))
    random = build(f"hf/{place}", {}, seed=1)
    assert random(batch).shape == (2, 5)
    assert weights_digest(random) != weights_digest(other)
    assert build(f"hf/{place}", {"num_classes": 7}, seed=1)(batch).shape == (2, 7)
    with pytest.raises(WeightsError, match="of another shape"):
        published(f"hf/{place}", {"num_classes": 7}, True)
    with pytest.raises(WeightsError, match="'vit'"):
        published("hf/convnext", {}, place)
    with pytest.raises(WeightsError, match="a type of networks"):
        published("hf/vit", {}, True)
    with pytest.raises(WeightsError, match="nowhere"):
        published("hf/vit", {}, str(tmp_path / "nowhere"))


def test_a_headless_checkpoint_of_hugging_face_is_no_classifier(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import ViTConfig, ViTModel

    settings = {key: value for key, value in VIT.items() if key != "num_classes"}
    ViTModel(ViTConfig(**settings)).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="2 missing"):
        published(f"hf/{tmp_path}", {"num_classes": 2}, True)
    known = inspect(published(f"hf/{tmp_path}", {}, True), torch.rand(1, 3, 32, 32))
    assert (known.network, known.has_logits) == ("ViTModel", False)
