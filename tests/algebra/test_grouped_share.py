"""Errors of shares over groups: pinned to the textbook's formula, to closed cases and to a small simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from stitchpipe.algebra.certainty import (
    FEWEST_GROUPS,
    effective_count,
    group_codes,
    ratio_limits,
    share_error,
    share_limits,
)
from stitchpipe.algebra.certainty.grouped_share import clustered_error
from tests import oracles


def drawn(groups, sizes, likeness, seed):
    """Hits of groups whose own share is drawn: with `likeness` 1 all of a group are hits, or none."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), sizes)
    shares = rng.beta(0.6 * (1 / likeness - 1) + 1e-9, 0.4 * (1 / likeness - 1) + 1e-9, groups)
    return rng.random(len(codes)) < shares[codes], codes


@pytest.mark.parametrize("sizes", [4, np.arange(1, 31)])
def test_the_error_is_the_textbooks_sandwich(sizes):
    hits, codes = drawn(30, sizes, 0.3, 0)
    order = np.random.default_rng(1).permutation(len(hits))
    rests = hits - hits.mean()
    assert clustered_error(rests, codes) == pytest.approx(oracles.clustered_error(hits, codes), rel=1e-12)
    assert clustered_error(rests[order], codes[order]) == pytest.approx(clustered_error(rests, codes))


def test_images_each_on_their_own_are_as_many_as_they_are():
    hits, _ = drawn(80, 1, 0.5, 2)
    alone = np.arange(80)
    assert clustered_error(hits - hits.mean(), alone) == pytest.approx(hits.std(ddof=1) / np.sqrt(80))
    assert effective_count(hits, alone) == pytest.approx(80)
    assert effective_count(hits, None) == 80
    assert share_error(hits, alone) == pytest.approx(share_error(hits))


@pytest.mark.parametrize("share", ["some", "all", "none"])
def test_copies_of_images_are_as_sure_as_the_images(share):
    hits, _ = drawn(40, 1, 0.5, 3)
    hits = {"some": hits, "all": np.ones(40, bool), "none": np.zeros(40, bool)}[share]
    copied, codes = np.repeat(hits, 7), np.repeat(np.arange(40), 7)
    assert effective_count(copied, codes) == pytest.approx(40)
    assert share_error(copied, codes) == pytest.approx(share_error(hits))
    assert share_error(copied) < 0.6 * share_error(copied, codes)
    assert share_limits(copied, codes) == pytest.approx(share_limits(hits, np.arange(40)))
    low, high = share_limits(copied, codes)
    assert (low == 0.0, high == 1.0) == (share == "none", share == "all")
    assert low < high


def test_a_ratio_of_two_counts_is_that_of_the_images_too():
    (above, codes), (below, _) = drawn(40, 5, 0.4, 4), drawn(40, 5, 0.4, 5)
    low, high = ratio_limits(above, below, codes)
    ratio = above.sum() / below.sum()
    half = t.ppf(0.975, 39) * oracles.clustered_ratio_error(above, below, codes)
    assert (low, high) == pytest.approx((ratio - half, ratio + half), rel=1e-9)
    copied = [np.repeat(side, 3) for side in (above, below, codes)]
    assert ratio_limits(*copied) == pytest.approx((low, high))
    assert ratio_limits(above, np.zeros_like(below), codes) is None
    # A network beside itself is as good as itself, whatever the groups.
    assert ratio_limits(below, below, codes) == pytest.approx((1.0, 1.0))


def test_of_few_groups_there_are_no_limits():
    hits, codes = drawn(FEWEST_GROUPS - 1, 30, 0.3, 6)
    assert share_limits(hits, codes) is share_error(hits, codes) is ratio_limits(hits, hits, codes) is None


def test_groups_side_by_side_are_numbered_in_their_order():
    assert group_codes(((0, 2), (2, 3), (3, 6))).tolist() == [0, 0, 1, 2, 2, 2]


def test_limits_over_groups_hold_the_share_where_those_over_images_do_not():
    """300 draws of 30 groups of 8: 95 % is held, within three Monte-Carlo errors, and over images far less is."""
    held = {"groups": 0, "images": 0}
    for seed in range(300):
        hits, codes = drawn(30, 8, 0.4, seed)
        for name, of in (("groups", codes), ("images", np.arange(len(hits)))):
            low, high = share_limits(hits, of)
            held[name] += low <= 0.6 <= high
    assert held["groups"] / 300 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)
    assert held["images"] / 300 < 0.8
