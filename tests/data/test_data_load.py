"""A declared data set becomes splits, whatever its kind."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Literal, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from stitchpipe.config import Data, ImageData
from stitchpipe.data import Reading, load_arrays, load_digits_splits, load_splits
from stitchpipe.data.load import loader_of
from stitchpipe.data.reading import Samples, split_as_found
from tests.data.small_images import noise, refuse


def declare(**keys):
    return TypeAdapter(Data).validate_python(keys)


KINDS = [section.model_fields["kind"].annotation.__args__[0] for section in get_args(get_args(Data)[0])]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "store"])
def test_every_kind_that_can_be_declared_can_be_loaded(kind):
    assert list(inspect.signature(loader_of(kind)).parameters) == ["declared", "splits", "reading"]


class SpotsData(ImageData):
    """A kind that the package does not have."""

    kind: Literal["spots"]
    count: int


def test_a_new_kind_is_a_section_and_a_module(monkeypatch):
    module = ModuleType("stitchpipe.data.kinds.spots")

    def load(declared, splits, reading):
        class Spots:
            def pixels(self, position):
                return np.full((4, 4, 1), position, dtype=np.uint8)

            def raw(self, position):
                return bytes([position])

            def where(self, position):
                return f"spot {position}"

        ids = [f"spot-{number}" for number in range(declared.count)]
        return {
            split: split_as_found(
                Samples(Spots(), ids, None, ()), dataset=declared.label, name=split, reading=reading
            )
            for split in splits
        }

    module.load = load
    monkeypatch.setitem(sys.modules, module.__name__, module)
    test = load_splits(SpotsData(kind="spots", count=5, limit=3, size=8))["test"]
    assert (test.dataset, test.name, len(test)) == ("spots", "test", 3)
    assert test.batch([0]).shape == (1, 1, 8, 8)


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
    monkeypatch.setattr("stitchpipe.data.kinds.digits.load_digits_splits", lambda **_: few)
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
