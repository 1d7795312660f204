"""Sums that somebody else left: taken up without a store, and refused where they are missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stitchpipe.engine import ImageComparison, NotKeptError, TaskResources
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import read_leaf, read_shifts
from stitchpipe.engine.samples import minibatches
from stitchpipe.engine.samples.minibatches import has_batches, keep_batches, read_batches
from storage import WORK, open_summaries


@pytest.fixture
def summaries(tmp_path):
    return open_summaries(tmp_path / "summaries")


def over_images(synthetic, summaries, store):
    return ImageComparison(
        TaskResources(store, summaries),
        synthetic.layers,
        synthetic.splits[-1],
        {"pooled": ("cka_minibatch",)},
        0,
    )


def test_leaves_that_are_there_need_no_store(synthetic, summaries):
    plan = synthetic.plan()
    stored, left = (
        KeptLeaves.of(TaskResources(store, summaries), plan, 0, 1) for store in (synthetic.store, None)
    )
    with pytest.raises(NotKeptError, match="Compare again"):
        read_shifts(left)
    read_shifts(stored)
    read_shifts(left)
    with pytest.raises(NotKeptError, match=r"data/test/m/wide.*not kept"):
        read_leaf(left, 2)
    read_leaf(stored, 2)
    read_leaf(left, 2)


def test_a_leaf_formed_by_hand_is_that_of_the_store(synthetic, summaries, tmp_path):
    plan = synthetic.plan()
    stored = KeptLeaves.of(TaskResources(synthetic.store, open_summaries(tmp_path / "stored")), plan, 0, 1)
    read_shifts(stored)
    read_leaf(stored, 2)
    by_hand = KeptLeaves.of(TaskResources(None, summaries), plan, 0, 1)
    held = [synthetic.blocks["test", layer.layer] for layer in synthetic.layers]
    by_hand.keep_shifts(lambda layer: held[layer][: by_hand.shift_samples])
    groups = [by_hand.split.row_groups[group] for group in by_hand.split.leaves()[2]]
    by_hand.form(
        2,
        (
            (stop - start, [(layer, held[layer][start:stop]) for layer in by_hand.formed.layers])
            for start, stop in groups
        ),
    )
    name = stored.names[1 + 2]  # behind the shifts
    assert by_hand.names == stored.names
    expected, found = (leaves.resources.summaries.read(WORK, name) for leaves in (stored, by_hand))
    assert found.content == expected.content
    for array, values in expected.arrays.items():
        assert np.array_equal(found.arrays[array], values), array


def test_sums_over_batches_that_are_there_are_not_formed_again(synthetic, summaries):
    stored, left = (over_images(synthetic, summaries, store) for store in (synthetic.store, None))
    with pytest.raises(NotKeptError):
        minibatches.minibatches(left, "pooled", 0)
    expected = minibatches.minibatches(stored, "pooled", 0)
    key = left.work_key("pooled", "batches", 0)
    assert not has_batches(summaries, key)
    keep_batches(summaries, key, expected)
    found = minibatches.minibatches(left, "pooled", 0)
    for field in dataclasses.fields(expected):
        assert np.array_equal(getattr(found, field.name), getattr(expected, field.name)), field.name
    assert left.work_key("pooled", "batches", 1) != key
    assert left.work_key("flatten", "batches", 0) != key


def test_a_leaf_without_a_batch_is_kept_as_such(summaries):
    keep_batches(summaries, "none", None)
    assert has_batches(summaries, "none")
    assert read_batches(summaries, "none") is None


def test_work_on_other_activations_has_another_key(synthetic, summaries):
    comparison = over_images(synthetic, summaries, None)
    other = dataclasses.replace(comparison.layers[0], fingerprints=("train", "other"))
    changed = dataclasses.replace(comparison, layers=(other, *comparison.layers[1:]))
    assert changed.work_key("pooled", "images", 0) != comparison.work_key("pooled", "images", 0)
