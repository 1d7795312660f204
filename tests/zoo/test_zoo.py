"""Names that fit a glob: architectures of libraries, files in folders and buckets, what headers say."""

from __future__ import annotations

import sys

import pytest
import torch
from safetensors.torch import save

from stitchpipe import zoo
from storage import open_place


def files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("glob", "labels"),
    [
        ("nets/*.pt", ["a-0", "a-1", "b-0"]),
        ("nets/{net}-{seed}.pt", ["a-0", "a-1", "b-0"]),
        ("nets/[!b]*.pt", ["a-0", "a-1"]),
        ("nets/?-0.pt", ["a-0", "b-0"]),
        ("runs/*/model.pt", ["x", "y"]),
        ("runs/*/*.pt", ["x/last", "x/model", "y/model"]),
        ("**/model.pt", ["runs/x/model", "runs/y/model"]),
        ("nets/a-0.pt", ["a-0"]),
        ("nets/a+[0].*", ["a+0.pt", "a+0.txt"]),
    ],
)
def test_files_are_called_by_what_tells_them_apart(tmp_path, glob, labels):
    files(
        tmp_path, "nets/a-0.pt", "nets/a-1.pt", "nets/b-0.pt", "nets/.c-0.pt", "nets/a+0.txt", "nets/a+0.pt",
        "runs/x/model.pt", "runs/x/last.pt", "runs/y/model.pt",
    )  # fmt: skip
    found = zoo.fitting(glob, tmp_path)
    if glob == "nets/*.pt":
        labels = ["a+0", *labels]
    if glob == "nets/[!b]*.pt":
        labels = ["a+0", *labels]
    assert [checkpoint.label for checkpoint in found] == labels
    assert all(open_place(tmp_path).path("") in checkpoint.location for checkpoint in found)


def test_what_stands_at_a_name_in_a_glob_is_known(tmp_path):
    files(tmp_path, "wide-resnet-3.pt")
    (found,) = zoo.fitting("{net}-{seed}.pt", tmp_path)
    assert found.groups == {"net": "wide-resnet", "seed": "3"}


@pytest.mark.parametrize(
    ("glob", "said"),
    [
        ("nets/*.safetensors", "none in .*nets, which holds a-0.pt"),
        ("nits/*.pt", "no folder .*Did you mean 'nets'"),
        ("nets/a-1.pt", "Did you mean 'a-0.pt'"),
    ],
)
def test_a_glob_that_fits_no_file_is_refused_with_what_is_there(tmp_path, glob, said):
    files(tmp_path, "nets/a-0.pt")
    with pytest.raises(zoo.NothingFitsError, match=said):
        zoo.fitting(glob, tmp_path)


def test_headers_say_which_network_is_in_a_checkpoint(tmp_path):
    tensors = {"a": torch.zeros(2)}
    said = {"architecture": "resnet18", "options": '{"num_classes": 10}'}
    (tmp_path / "a.safetensors").write_bytes(save(tensors, metadata=said))
    (tmp_path / "b.safetensors").write_bytes(save(tensors))
    found = zoo.fitting("*.safetensors", tmp_path)
    assert zoo.described(found) == [("resnet18", {"num_classes": 10}), None]
    (tmp_path / "c.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(zoo.UnreadableError, match="c.safetensors"):
        zoo.described(zoo.fitting("*.safetensors", tmp_path))


def test_a_name_is_that_of_the_library_unless_torchvision_has_it_too():
    assert [offer.label for offer in zoo.offers("torchvision", "resnet18")] == ["resnet18"]
    assert [offer.label for offer in zoo.offers("timm", "resnet18*")][:2] == ["timm/resnet18", "resnet18d"]
    (tagged,) = zoo.offers("timm", "resnet18.a1_*")
    assert (tagged.architecture, tagged.tag) == ("timm/resnet18", "a1_in1k")
    assert zoo.offers("hf", "vit")[0].architecture == "hf/vit"
    assert zoo.offers("installed", "cifar*")[0].name == "cifar_resnet"


@pytest.mark.parametrize(
    ("library", "glob", "said"),
    [
        ("torchvision", "resnt*", "resn"),
        ("timm", "vit_tinny*", "Did you mean 'timm:.*vit"),
        ("installed", "cifar_resne", "Did you mean 'installed:cifar_resnet'"),
    ],
)
def test_a_glob_that_fits_no_architecture_is_refused_with_the_nearest(library, glob, said):
    with pytest.raises(zoo.NothingFitsError, match=said):
        zoo.offers(library, glob)


def test_types_of_hugging_face_have_no_published_weights_of_their_own():
    with pytest.raises(zoo.NothingFitsError, match="untrained = true"):
        zoo.offers("hf", "vit", published=True)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("resnet18", {}),
        ("vit_b_16", {"image_size": 32}),
        ("timm/vit_tiny_patch16_224", {"img_size": 32}),
        ("timm/resnet18", {}),
        ("hf/vit", {"image_size": 32}),
        ("hf/no-such-type", {}),
    ],
)
def test_only_what_is_built_for_one_size_is_told_the_size(architecture, options):
    assert zoo.size_options(architecture, 32) == options


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sys.modules["stitchpipe.zoo.libraries"], "find_spec", lambda _: None)
    sys.modules["stitchpipe.zoo.libraries"]._names.cache_clear()
    with pytest.raises(zoo.NothingFitsError, match=r"pip install 'stitchpipe\[timm\]'"):
        zoo.offers("timm", "vit*")
