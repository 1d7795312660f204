"""A declared data set becomes splits, whatever its kind."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter

from stitchpipe.config import Data
from stitchpipe.data import Reading, load_arrays, load_digits_splits, load_splits
from tests.data.small_images import noise, refuse


def declare(**keys):
    return TypeAdapter(Data).validate_python(keys)


def test_digits_as_declared():
    found = load_splits(declare(kind="digits", name="d", test_fraction=0.5, seed=3))
    alone = load_digits_splits(name="d", test_fraction=0.5, seed=3)
    assert {name: one.digest for name, one in found.items()} == {n: o.digest for n, o in alone.items()}
    assert found["test"].dataset == "d"


def test_arrays_as_declared(tmp_path):
    files = {}
    for seed, split in enumerate(["train", "test"]):
        files[split] = tmp_path / f"{split}.npz"
        np.savez(files[split], images=noise(seed=seed))
    declared = declare(kind="arrays", files=files, limit=4, channels=1)
    found = load_splits(declared, ("test",))
    assert list(found) == ["test"]
    assert (len(found["test"]), found["test"].preprocessing["channels"]) == (4, 1)
    assert list(load_splits(declared)) == ["train", "test"]
    refuse("data.files: expected the splits train, val", load_splits, declared, ("train", "val"))


def test_arrays_with_splits_of_any_name(tmp_path):
    np.savez(tmp_path / "extra.npz", images=noise())
    found = load_arrays({"extra": tmp_path / "extra.npz"}, name="mine", reading=Reading(limit=4, channels=1))
    assert (len(found["extra"]), found["extra"].preprocessing["channels"]) == (4, 1)


def test_torchvision_as_declared():
    options = {"size": 12, "image_size": [3, 6, 5], "num_classes": 3}
    splits = {"train": {}, "test": {"random_offset": 100}}
    declared = declare(kind="torchvision", dataset="FakeData", options=options, splits=splits, mean=(0.5,))
    found = load_splits(declared)
    assert found["test"].dataset == "FakeData"
    assert found["test"].preprocessing["mean"] == [0.5]
    refuse("data.splits: expected the splits val", load_splits, declared, ("val",))


def test_splits_with_other_classes_are_refused(tmp_path, monkeypatch):
    digits = load_digits_splits()
    few = {
        "train": digits["train"],
        "test": type(digits["test"])(**{**vars(digits["test"]), "class_names": ()}),
    }
    monkeypatch.setattr("stitchpipe.data.load.load_digits_splits", lambda **_: few)
    assert load_splits(declare(kind="digits"))["test"].n_classes == 10
    other = type(digits["test"])(**{**vars(digits["test"]), "class_names": tuple("abcdefghij")})
    few["test"] = other
    refuse("expected the same classes", load_splits, declare(kind="digits"))


@pytest.mark.parametrize("kind", ["digits", "image_folder"])
def test_splits_that_are_not_there(tmp_path, kind):
    declared = declare(kind=kind) if kind == "digits" else declare(kind=kind, root=tmp_path)
    refuse("val", load_splits, declared, ("val",))


def test_labels_that_are_needed_are_asked_for_by_purpose(tmp_path):
    np.savez(tmp_path / "a.npz", images=noise())
    split = load_splits(declare(kind="arrays", files={"test": tmp_path / "a.npz"}), ("test",))["test"]
    refuse("split 'test': expected labels, for training", split.required_labels, "training")
