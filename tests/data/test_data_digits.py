"""The digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from stitchpipe.data import DataError, Reading, load_digits_splits


def test_splits_are_disjoint_complete_and_stratified():
    splits = load_digits_splits()
    train, test = splits["train"], splits["test"]
    assert (len(train), len(test)) == (1347, 450)
    assert len({*train.sample_ids, *test.sample_ids}) == 1797
    for split in splits.values():
        share = np.bincount(split.labels) / len(split)
        np.testing.assert_allclose(share, np.bincount(load_digits().target) / 1797, atol=0.002)


def test_images_are_those_of_the_ids_scaled_to_one():
    raw = load_digits()
    for split in load_digits_splits().values():
        positions = [int(sample_id.removeprefix("digits-")) for sample_id in split.sample_ids]
        images = split.batch(range(len(split)))
        assert images.dtype == torch.float32
        assert images.shape == (len(split), 1, 8, 8)
        np.testing.assert_array_equal(images[:, 0].numpy() * 16, raw.images[positions])
        np.testing.assert_array_equal(split.labels, raw.target[positions])
        assert torch.equal(split.batch([7, 3, 3]), images[[7, 3, 3]])


def test_the_split_and_its_digest_are_fixed_by_the_seed():
    one, again, other = load_digits_splits(), load_digits_splits(), load_digits_splits(seed=1)
    for name in ("train", "test"):
        assert one[name].sample_ids == again[name].sample_ids
        assert one[name].digest == again[name].digest != other[name].digest
        assert set(one[name].sample_ids) != set(other[name].sample_ids)


def test_the_share_that_is_held_out():
    assert len(load_digits_splits(test_fraction=0.5)["test"]) == 899


@pytest.mark.parametrize("test_fraction", [0.001, 0.999])
def test_a_share_that_leaves_out_classes_is_refused(test_fraction):
    with pytest.raises(DataError, match=r"data\.test_fraction: expected a share that leaves every class"):
        load_digits_splits(test_fraction=test_fraction)


def test_digits_are_preprocessed_like_other_images():
    plain = load_digits_splits()["test"]
    split = load_digits_splits(reading=Reading(limit=50, size=12, mean=(0.5,), std=(0.25,)))["test"]
    assert (len(split), split.batch([0]).shape) == (50, (1, 1, 12, 12))
    assert split.preprocessing == {"scale": "1/16", "size": [12, 12], "mean": [0.5], "std": [0.25]}
    assert np.bincount(split.labels).tolist() == [5] * 10
    where = plain.sample_ids.index(split.sample_ids[7])
    mean = plain.batch([where]).mean()
    assert split.batch([7]).mean() * 0.25 + 0.5 == pytest.approx(float(mean), abs=0.05)
