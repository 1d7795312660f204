"""Torchvision's data sets, written here in their own formats: splits, labels, ids, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from scipy.io import savemat

from stitchpipe.data import Reading, load_torchvision
from tests.data.small_images import everything, noise, refuse

CLASSES = ["ant", "bee", "cow"]
FAKE = {"size": 12, "image_size": [3, 6, 5], "num_classes": 3}
FAKE_SPLITS = {"train": {"random_offset": 0}, "test": {"random_offset": 100}}


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Return a folder with CIFAR10's pickled batches, whose digests torchvision is told not to ask for."""
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [[f"data_batch_{k}", None] for k in (1, 2)])
    monkeypatch.setattr(kind, "test_list", [["test_batch", None]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    for seed, name in enumerate(["data_batch_1", "data_batch_2", "test_batch"]):
        batch = {
            "data": cifar_images(seed).transpose(0, 3, 1, 2).reshape(6, -1),
            "labels": [0, 1, 2, 2, 1, seed],
        }
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": CLASSES}))
    return tmp_path


def cifar_images(seed):
    return noise(size=(32, 32), seed=seed)


def write_mnist(root, name="MNIST"):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for seed, part in enumerate(["train", "t10k"]):
        images, labels = noise(size=(28, 28), channels=1, seed=seed), np.arange(6, dtype=np.uint8)
        head = np.array([0x803, 6, 28, 28], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = np.array([0x801, 6], dtype=">i4").tobytes()
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return root


def test_cifar_selects_splits_by_train(cifar):
    splits = load_torchvision("CIFAR10", root=cifar)
    train, test = splits["train"], splits["test"]
    assert (train.dataset, train.name, len(train), len(test)) == ("CIFAR10", "train", 12, 6)
    assert train.labels.tolist() == [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 1]
    assert train.class_names == test.class_names == ("ant", "bee", "cow")
    assert train.sample_ids[:2] == ("train/00", "train/01")
    assert test.sample_ids == tuple(f"test/{k}" for k in range(6))
    np.testing.assert_allclose(everything(test), cifar_images(2) / 255, rtol=1e-6)
    assert test.preprocessing == {"scale": "1/255", "size": None, "mean": None, "std": None, "channels": 3}


def test_one_pixel_and_one_label_change_the_digest(cifar):
    before = load_torchvision("CIFAR10", root=cifar)
    path = cifar / "cifar-10-batches-py" / "test_batch"
    batch = pickle.loads(path.read_bytes())
    batch["data"][2, 5] ^= 1
    path.write_bytes(pickle.dumps(batch))
    pixel = load_torchvision("CIFAR10", root=cifar)
    batch["labels"][0] = 2
    path.write_bytes(pickle.dumps(batch))
    label = load_torchvision("CIFAR10", root=cifar)
    assert len({one["test"].digest for one in (before, pixel, label)}) == 3
    assert len({one["train"].digest for one in (before, pixel, label)}) == 1


def test_mnist_is_grey_unless_it_is_made_rgb(tmp_path):
    write_mnist(tmp_path)
    test = load_torchvision("MNIST", root=tmp_path)["test"]
    assert test.labels.tolist() == list(range(6))
    assert test.class_names[3] == "3 - three"
    grey = noise(size=(28, 28), channels=1, seed=1)
    np.testing.assert_allclose(everything(test), grey / 255, rtol=1e-6)
    reading = Reading(limit=4, size=8, channels=3, mean=(0.1, 0.2, 0.3))
    small = load_torchvision("MNIST", root=tmp_path, name="m", reading=reading)["test"]
    assert (small.dataset, len(small), small.batch([0]).shape) == ("m", 4, (1, 3, 8, 8))


def test_emnist_keeps_split_for_its_options(tmp_path):
    """Its constructor takes `split` for one of six data sets, and hands `train` on to MNIST's."""
    write_mnist(tmp_path, "EMNIST")
    for path in (tmp_path / "EMNIST" / "raw").iterdir():
        part = path.name.replace("t10k", "test")
        path.rename(path.with_name(f"emnist-digits-{part}"))
    splits = load_torchvision("EMNIST", root=tmp_path, options={"split": "digits"})
    assert splits["train"].digest != splits["test"].digest
    assert splits["test"].labels.tolist() == list(range(6))


def test_svhn_selects_splits_by_name(tmp_path, monkeypatch):
    files = {split: ["", f"{split}_32x32.mat", None] for split in ("train", "test", "extra")}
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", files)
    images = {split: noise(size=(32, 32), seed=seed) for seed, split in enumerate(files)}
    for split, pixels in images.items():
        labels = np.array([[10], [1], [2], [3], [4], [5]])
        savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": labels})
    splits = load_torchvision("SVHN", root=tmp_path, splits=("train", "test", "extra"))
    assert splits["extra"].labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert splits["extra"].class_names == ()
    for split, pixels in images.items():
        np.testing.assert_allclose(everything(splits[split]), pixels / 255, rtol=1e-6)
    refuse(
        "found `split` among the options", load_torchvision, "SVHN", root=tmp_path, options={"split": "extra"}
    )


def test_imagenette_has_val_for_test_and_its_digest_is_of_the_files(tmp_path):
    classes = torchvision.datasets.Imagenette._WNID_TO_CLASS
    for split in ("train", "val"):
        for number, wnid in enumerate(classes):
            folder = tmp_path / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            Image.fromarray(noise(1, seed=number)[0]).save(folder / "x.png")
            (folder / "x.png").rename(folder / "x.JPEG")
    options = {"size": "160px"}
    test = load_torchvision("Imagenette", root=tmp_path, options=options)["test"]
    assert test.labels.tolist() == list(range(10))
    assert test.class_names[0] == "tench, Tinca tinca"
    one = tmp_path / "imagenette2-160" / "val" / "n01440764" / "x.JPEG"
    one.write_bytes(one.read_bytes() + b"\0")
    again = load_torchvision("Imagenette", root=tmp_path, options=options)["test"]
    assert again.digest != test.digest
    assert torch.equal(again.batch([0]), test.batch([0]))
    one.write_bytes(b"no image")
    refuse(
        "x.JPEG: expected an item of the data set", load_torchvision, "Imagenette", root=tmp_path,
        splits=["test"], options=options,
    )  # fmt: skip


def test_fake_data_needs_declared_splits():
    splits = load_torchvision("FakeData", splits=FAKE_SPLITS, options=FAKE)
    assert {name: len(split) for name, split in splits.items()} == {"train": 12, "test": 12}
    assert splits["train"].digest != splits["test"].digest
    data = torchvision.datasets.FakeData(**FAKE, random_offset=100)
    assert splits["test"].labels.tolist() == [data[k][1] for k in range(12)]
    np.testing.assert_allclose(everything(splits["test"])[3], np.asarray(data[3][0]) / 255, rtol=1e-6)
    refuse("a way to select the split 'train'.*splits = {", load_torchvision, "FakeData", options=FAKE)


def test_targets_that_are_no_class_leave_images_without_labels(monkeypatch):
    for target in ({"boxes": [1, 2]}, "a caption", [3, 4], torch.ones(3), None, 0.5):
        monkeypatch.setattr(
            torchvision.datasets.FakeData,
            "__getitem__",
            lambda self, k, t=target: (Image.new("RGB", (4, 4)), t),
        )
        split = load_torchvision("FakeData", splits={"test": {}}, options={"size": 3})["test"]
        assert split.labels is None


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ((Image.new("L", (4, 4)),) * 3, "image 0: expected an image, or a pair .* found a tuple of 3"),
        (torch.zeros(3, 3, 4, 4), r"expected one image.*found shape \(3, 3, 4, 4\)"),
        ("text", "found a str"),
    ],
)
def test_items_that_are_no_single_images_are_refused(monkeypatch, item, text):
    monkeypatch.setattr(torchvision.datasets.FakeData, "__getitem__", lambda self, k: item)
    refuse(text, load_torchvision, "FakeData", splits={"test": {}})


def test_missing_files_say_where_they_belong(tmp_path):
    error = refuse("Dataset not found", load_torchvision, "CIFAR10", root=tmp_path)
    assert str(tmp_path) in error.expected
    assert "download = true" in error.remedy
    assert list(tmp_path.iterdir()) == []
    error = refuse("its files, complete", load_torchvision, "ImageNet", root=tmp_path)
    assert "does not download" in error.remedy


def test_download_is_asked_for_and_passed_on(tmp_path, monkeypatch):
    def download(self):
        raise RuntimeError("no network here")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", download)
    error = refuse("no network here", load_torchvision, "CIFAR10", root=tmp_path, download=True)
    assert "copy the folder" in error.remedy
    refuse("does not download", load_torchvision, "ImageNet", root=tmp_path, download=True)


@pytest.mark.parametrize(
    ("dataset", "options", "text"),
    [
        ("CIFAR01", {}, "Did you mean 'CIFAR1"),
        ("VisionDataset2", {}, "Did you mean"),
        ("Zzz", {}, "documentation"),
        ("CIFAR10", {"size": 3}, "expected arguments that it takes.*size"),
        ("CIFAR10", {"transform": "x"}, "found `transform`"),
        ("CIFAR10", {"root": "x"}, "found `root`"),
        ("CIFAR10", {"train": False}, "found `train` among the options"),
        ("VOCDetection", {}, "a constructor that takes root, year, image_set"),
        ("FakeData", {"size": 0}, "found none"),
    ],
)
def test_declarations_that_do_not_fit_are_refused(tmp_path, dataset, options, text):
    declared = {"splits": FAKE_SPLITS} if dataset == "FakeData" else {}
    refuse(text, load_torchvision, dataset, root=tmp_path, options=options, **declared)


def test_a_root_is_needed_by_those_that_take_one():
    refuse("expected `root`", load_torchvision, "CIFAR10")
