"""Sums that somebody else left: taken up without a store, and refused where they are missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stitchpipe.engine import ImagesJob, NotKeptError, Workplace
from stitchpipe.engine.keys import pass_key
from stitchpipe.engine.moments import leaf_tasks
from stitchpipe.engine.samples import minibatches
from stitchpipe.engine.samples.minibatches import has_batches, keep_batches, read_batches
from storage import WORK, open_summaries


@pytest.fixture
def summaries(tmp_path):
    return open_summaries(tmp_path / "summaries")


def images_job(synthetic, summaries, store):
    return ImagesJob(
        store, summaries, synthetic.layers, synthetic.splits[-1], {"pooled": ("cka_minibatch",)}, 0
    )


def test_leaves_that_are_there_need_no_store(synthetic, summaries):
    plan = synthetic.plan()
    stored, left = (Workplace(store, summaries) for store in (synthetic.store, None))
    key = pass_key(plan, 0)
    with pytest.raises(NotKeptError, match="Compare again"):
        leaf_tasks.find_shifts(left, plan, 0, 1, key)
    shifts = leaf_tasks.find_shifts(stored, plan, 0, 1, key)
    assert leaf_tasks.find_shifts(left, plan, 0, 1, key) == shifts
    with pytest.raises(NotKeptError, match=r"data/test/m/wide.*not kept"):
        leaf_tasks.accumulate(left, plan, 0, 1, 2, key, shifts)
    formed = leaf_tasks.accumulate(stored, plan, 0, 1, 2, key, shifts)
    assert leaf_tasks.accumulate(left, plan, 0, 1, 2, key, shifts) == formed


def test_a_leaf_formed_by_hand_is_that_of_the_store(synthetic, summaries, tmp_path):
    plan, step = synthetic.plan(), 0
    key, layers = pass_key(plan, step), plan.passes[step].layers
    stored = Workplace(synthetic.store, open_summaries(tmp_path / "stored"))
    shifts = leaf_tasks.find_shifts(stored, plan, step, 1, key)
    name = leaf_tasks.accumulate(stored, plan, step, 1, 2, key, shifts)
    by_hand = Workplace(None, summaries)
    held = [synthetic.blocks["test", synthetic.layers[index].layer] for index in range(len(synthetic.layers))]
    count = leaf_tasks.shift_samples(plan, 1)
    leaf_tasks.keep_shifts(by_hand, plan, step, shifts, lambda index: held[index][:count])
    groups = [plan.splits[1].row_groups[group] for group in plan.splits[1].leaves()[2]]
    leaf_tasks.form_leaf(
        by_hand,
        plan,
        step,
        name,
        shifts,
        ((stop - start, [(i, held[i][start:stop]) for i in layers]) for start, stop in groups),
    )
    expected, found = (place.summaries.read(WORK, name) for place in (stored, by_hand))
    assert found.content == expected.content
    for array, values in expected.arrays.items():
        assert np.array_equal(found.arrays[array], values), array


def test_sums_over_batches_that_are_there_are_not_formed_again(synthetic, summaries):
    stored, left = (images_job(synthetic, summaries, store) for store in (synthetic.store, None))
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
    job = images_job(synthetic, summaries, None)
    other = dataclasses.replace(job.layers[0], fingerprints=("train", "other"))
    changed = dataclasses.replace(job, layers=(other, *job.layers[1:]))
    assert changed.work_key("pooled", "images", 0) != job.work_key("pooled", "images", 0)


def test_a_job_without_a_store_travels_to_workers(client, synthetic, summaries):
    """What was left lies where workers find it; what is missing is said by name, not by a lost worker."""
    plan = synthetic.plan()
    job = dataclasses.replace(synthetic.job(plan), place=Workplace(None, summaries))
    from stitchpipe.engine.cluster import execute

    with pytest.raises(NotKeptError, match="Compare again"):
        list(execute(client, job, report=lambda *_: None))
