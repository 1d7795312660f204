"""Data sets of installed packages, found by entry points."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from stitchpipe.data import Reading, load_digits_splits, load_entry_point
from tests.data.small_images import everything, noise, refuse

IMAGES = {"train": noise(8, seed=0), "test": noise(6, seed=1)}


class Cells(Dataset):
    """Images of `split` as the kind of item that is asked for."""

    def __init__(self, split, form="pillow", labelled=True):
        self.images, self.form, self.labelled = IMAGES[split], form, labelled

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        pixels = self.images[index]
        image = {
            "pillow": lambda: Image.fromarray(pixels),
            "array": lambda: pixels,
            "bytes": lambda: torch.from_numpy(pixels).permute(2, 0, 1),
            "floats": lambda: torch.from_numpy(pixels).permute(2, 0, 1) / 255,
            "doubles": lambda: pixels / 255,
        }[self.form]()
        return (image, index % 2) if self.labelled else image


@pytest.fixture
def installed(monkeypatch):
    """Return a function that registers callables as entry points."""

    def register(**callables):
        points = {}
        for name, function in callables.items():
            point = metadata.EntryPoint(name, f"cells:{name}", "stitchpipe.datasets")
            points[name] = point
            monkeypatch.setitem(LOADED, name, function)
        monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: LOADED[self.name])
        monkeypatch.setattr(
            "stitchpipe.plugins.entry_points_of",
            lambda group: points.values() if group == "stitchpipe.datasets" else [],
        )

    return register


LOADED = {}


@pytest.mark.parametrize("form", ["pillow", "array", "bytes", "floats", "doubles"])
def test_items_of_every_form_are_the_same_images(installed, form):
    installed(cells=Cells)
    splits = load_entry_point("cells", options={"form": form})
    test = splits["test"]
    assert (test.dataset, test.name, len(splits["train"]), len(test)) == ("cells", "test", 8, 6)
    assert test.labels.tolist() == [0, 1] * 3
    assert test.sample_ids == tuple(f"test/{k}" for k in range(6))
    np.testing.assert_allclose(everything(test), IMAGES["test"] / 255, rtol=1e-6)
    assert test.preprocessing["scale"] == ("none" if form in {"floats", "doubles"} else "1/255")


def test_ids_classes_and_kept_labels_are_taken_where_they_are(installed):
    class Named(Cells):
        sample_ids = tuple("abcdef")
        class_names = ("even", "odd")

    installed(cells=Named)
    test = load_entry_point("cells", name="c", splits=["test"])["test"]
    assert (test.dataset, test.sample_ids, test.class_names) == ("c", tuple("abcdef"), ("even", "odd"))


def test_kept_labels_are_believed_where_they_agree_with_the_items(installed):
    class Kept(Cells):
        asked = 0

        def __getitem__(self, index):
            type(self).asked += 1
            return super().__getitem__(index)

    class Targets(Kept):
        targets = (0, 1, 0, 1, 0, 1)

    class Others(Kept):
        targets = (1, 0, 1, 0, 1, 0)

    installed(kept=Targets, others=Others)
    one, other = (load_entry_point(name, splits=["test"])["test"] for name in ("kept", "others"))
    assert one.labels.tolist() == other.labels.tolist() == [0, 1] * 3
    assert Targets.asked == Others.asked - 6


def test_images_without_labels(installed):
    installed(cells=Cells)
    assert load_entry_point("cells", options={"labelled": False})["test"].labels is None


def test_one_pixel_changes_the_digest(installed, monkeypatch):
    installed(cells=Cells)
    before = load_entry_point("cells")["test"].digest
    assert load_entry_point("cells")["test"].digest == before
    changed = IMAGES["test"].copy()
    changed[2, 0, 0, 0] ^= 1
    monkeypatch.setitem(IMAGES, "test", changed)
    assert load_entry_point("cells")["test"].digest != before


def test_a_ready_split_is_taken_under_the_names_of_the_sweep(installed):
    digits = load_digits_splits()
    installed(ready=lambda split: digits[split])
    test = load_entry_point("ready", name="mine")["test"]
    assert (test.dataset, test.name, test.digest) == ("mine", "test", digits["test"].digest)
    assert torch.equal(test.batch([3]), digits["test"].batch([3]))
    refuse("a ready ImageSplit", load_entry_point, "ready", reading=Reading(size=9))


def test_an_unknown_name_is_answered_with_the_nearest(installed):
    installed(cells=Cells, tissues=Cells)
    refuse("'cell', which no installed package registers. Did you mean 'cells'", load_entry_point, "cell")
    refuse("There are: cells, tissues", load_entry_point, "qqqq")
    installed()
    refuse("There are: none", load_entry_point, "cells")


def broken(split):
    raise OSError("disk on fire")


def ragged(split):
    data = Cells(split)
    data.images = [*IMAGES[split][:5], noise(1, (9, 9))[0]]
    return data


def half_labelled(split):
    return [(Image.new("RGB", (4, 4)), label) for label in (0, None, 1)]


def infinite(split):
    return [torch.full((3, 4, 4), float(value)) for value in (1, 2, np.inf)]


class SameIds(Cells):
    sample_ids = ("a",) * 6


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (broken, "found OSError: disk on fire"),
        (lambda: None, "found TypeError"),
        (lambda split: iter([1]), "expected a map-style data set"),
        (lambda split: [], "found none"),
        (lambda split: ["text"], "found a str"),
        (lambda split: [np.zeros((4, 4), dtype="int64")], "found int64"),
        (lambda split: [np.zeros(4, dtype="uint8")], r"found shape \(4,\)"),
        (lambda split: [(np.zeros((4, 4), "uint8"), -1), (np.zeros((4, 4), "uint8"), 1)], "1 negative ones"),
        (half_labelled, "image 1: expected a whole-numbered label"),
        (SameIds, "found 'a' more than once"),
    ],
)
def test_what_is_no_data_set_of_images_is_refused(installed, function, text):
    installed(cells=function)
    refuse(text, load_entry_point, "cells", splits=["test"])


def test_images_that_differ_or_are_not_finite_are_refused_when_asked_for(installed):
    installed(ragged=ragged, infinite=infinite)
    split = load_entry_point("ragged", splits=["test"])["test"]
    refuse("image 5: expected 4x5 pixels.*found 9x9", split.batch, [5])
    split = load_entry_point("infinite", splits=["test"])["test"]
    refuse("image 2: expected finite", split.batch, [0, 2])


def test_an_entry_point_that_cannot_be_imported(monkeypatch):
    point = metadata.EntryPoint("cells", "no_such_package:load", "stitchpipe.datasets")
    monkeypatch.setattr("stitchpipe.plugins.entry_points_of", lambda _group: [point])
    refuse("entry point 'cells'.*ModuleNotFoundError", load_entry_point, "cells")
