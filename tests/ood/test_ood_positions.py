"""Sampled positions: the same from any blocks, all of them met, never more than was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.ood import OodError, PositionSampling, observe
from stitchpipe.ood.positions import PositionRows

# A value tells its image, channel and position.
NUMBERS = (1e4 * np.arange(100)[:, None, None] + 1e2 * np.arange(3)[None, :, None] + np.arange(20)).reshape(
    100, 3, 4, 5
)


def decoded(rows):
    image, channel, position = (rows // 1e4).astype(int), rows % 1e4 // 1e2, (rows % 1e2).astype(int)
    assert np.array_equal(channel, np.broadcast_to(np.arange(3), rows.shape))
    assert (image == image[:, :1, :1]).all()
    assert (position == position[:, :, :1]).all()
    return image[:, 0, 0], position[:, :, 0]


@given(st.sets(st.integers(1, 99)), st.integers(1, 25), st.integers(1, 300))
def test_blocks_do_not_matter_and_the_limit_holds(cuts, per_image, limit):
    sampling = PositionSampling(per_image=per_image, rows=limit)
    whole = observe([NUMBERS], sampling).positions
    assert np.array_equal(whole, observe(np.split(NUMBERS, sorted(cuts)), sampling).positions)
    images, positions = decoded(whole)
    assert positions.shape[1] == min(per_image, 20)
    assert len(images) == 1 or positions.size <= limit
    assert len(images) == 100 or 2 * positions.size > limit - 2 * per_image or len(images) == 1
    assert all(len(set(one)) == len(one) for one in positions)
    assert len(set(np.diff(images))) <= 1


def test_no_more_rows_are_held_than_were_asked_for_while_blocks_come_in():
    rows = PositionRows(PositionSampling(per_image=8, rows=200))
    for _ in range(50):
        rows.add(NUMBERS)
        assert rows.collected().size <= 200 * 3


def test_every_position_is_met_about_as_often_also_when_images_are_left_out():
    values = np.broadcast_to(np.arange(64.0), (4096, 1, 64)).reshape(4096, 1, 8, 8)
    for limit in (4096 * 8, 4096):
        rows = observe([values], PositionSampling(per_image=8, rows=limit)).positions
        counts = np.bincount(rows.astype(int).ravel(), minlength=64)
        expected = rows.size / 64
        assert np.abs(counts - expected).max() < 8 * np.sqrt(expected)  # neighbours come together


def test_tokens_have_the_positions_of_images_in_row_major_order():
    tokens = np.moveaxis(NUMBERS.reshape(100, 3, 20), 1, 2)
    assert np.array_equal(observe([tokens]).positions, observe([NUMBERS]).positions)


def test_seeds_differ_and_repeat():
    one, again, other = (observe([NUMBERS], PositionSampling(seed=seed)).positions for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_vectors_have_none():
    assert observe([NUMBERS[:, :, 0, 0]]).positions is None


@pytest.mark.parametrize("wrong", [{"per_image": 0}, {"rows": 0}, {"seed": -1}])
def test_what_cannot_be_sampled_is_refused(wrong):
    with pytest.raises(OodError, match=f"{next(iter(wrong))}.*expected at least"):
        PositionSampling(**wrong)
