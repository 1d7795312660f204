"""Groups of images, from a file: read, refused, kept together, and told."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from stitchpipe.config import Data
from stitchpipe.data import DataError, load_splits, sizes_told
from stitchpipe.data.groups import whole_groups

IDS = [f"digits-{number:04d}" for number in range(1797)]


def declared(folder, lines, **keys):
    (folder / "groups.csv").write_text("sample,group\n" + "\n".join(lines))
    data = TypeAdapter(Data).validate_python({"kind": "digits", "groups": "groups.csv", **keys})
    return data.starting_at(folder)


def in_tens(ids=IDS):
    return [f"{name},scene {number // 10}" for number, name in enumerate(ids)]


def test_a_cut_and_a_limit_keep_groups_whole(tmp_path):
    whole, few = (load_splits(declared(tmp_path, in_tens(), **keys)) for keys in ({}, {"limit": 45}))
    assert sum(map(len, whole.values())) == 1797
    assert not set(whole["train"].groups) & set(whole["test"].groups)
    assert 0.2 < len(whole["test"]) / 1797 < 0.3
    for images in few.values():
        assert len(images) == 40
        assert sizes_told(images.groups) == ("4 groups of 10 images",)
        of = dict(line.split(",") for line in in_tens())
        assert images.groups == tuple(of[sample] for sample in images.sample_ids)


def test_the_data_are_others_with_groups_and_the_same_without(tmp_path):
    plain = load_splits(TypeAdapter(Data).validate_python({"kind": "digits", "limit": 20}))
    one, other = (
        load_splits(declared(tmp_path, lines, limit=20)) for lines in (in_tens(), in_tens(IDS[::-1]))
    )
    assert plain["test"].groups is None
    assert len({splits["test"].digest for splits in (plain, one, other)}) == 3


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (in_tens()[1:], "none for 1 of 1797 images, first 'digits-0000'"),
        ([*in_tens(), "digits-0000,again"], "'digits-0000' more than once, again in line 1799"),
        ([*in_tens(), "digits-9999,far"], "1 that it does not have, first 'digits-9999'"),
        ([*in_tens()[:-1], "digits-1796,"], "line 1798 with other than two fields"),
        ([*in_tens()[:-1], "digits-1796,a,b"], "line 1798 with other than two fields"),
    ],
)
def test_what_is_no_group_for_each_image_is_refused(tmp_path, lines, found):
    with pytest.raises(DataError) as caught:
        load_splits(declared(tmp_path, lines))
    assert found in caught.value.found


@pytest.mark.parametrize(
    ("text", "found"), [("image,scene\na,b", "image, scene"), ("", "(none)"), (None, "no such file")]
)
def test_another_file_is_refused(tmp_path, text, found):
    data = declared(tmp_path, in_tens())
    (tmp_path / "groups.csv").unlink() if text is None else (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load_splits(data)
    assert found in caught.value.found


def test_a_group_in_both_splits_is_told(tmp_path):
    ids = {split: [f"{split}/{number}" for number in range(2)] for split in ("train", "test")}
    pixels = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4)
    for split in ids:
        np.savez(tmp_path / f"{split}.npz", images=pixels + 100 * (split == "test"))
    files = {split: f"{split}.npz" for split in ids}
    lines = ["train/0,a", "train/1,b", "test/0,b", "test/1,c"]
    splits = load_splits(declared(tmp_path, lines, kind="arrays", files=files))
    assert splits["train"].remarks == ()
    assert splits["test"].remarks == ("1 of its groups have images in 'train' too",)


def test_a_folder_is_cut_between_groups(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(60):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{number:02d}.png")
    lines = [f"{number:02d}.png,film {number // 3}" for number in range(60)]
    splits = load_splits(declared(tmp_path, lines, kind="flat_folder", root="images"))
    assert all(sizes_told(images.groups)[0].endswith("of 3 images") for images in splits.values())
    assert not set(splits["train"].groups) & set(splits["test"].groups)


def test_few_sizes_are_told_each_and_many_as_a_range():
    assert sizes_told(None) == ()
    assert sizes_told(list("aabbc")) == ("1 group of 1 image", "2 groups of 2 images")
    assert sizes_told([str(k) for k in range(1, 7) for _ in range(k)]) == ("6 groups of 1 to 6 images",)


def test_a_limit_below_every_group_is_refused():
    with pytest.raises(DataError, match="the smallest has 2"):
        whole_groups(list("aabb"), limit=1, seed=0)
