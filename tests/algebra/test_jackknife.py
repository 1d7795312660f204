"""The delete-a-group jackknife: its definition, its closed cases, and what it refuses."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.algebra import Moments
from stitchpipe.algebra.certainty import jackknife, leave_one_out
from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from tests import oracles_samples
from tests.algebra.coverage import GROUPS, group_sizes

rng = np.random.default_rng(0)


def mean_without(samples, edges):
    """The mean of all samples, and those without each group between `edges`."""
    groups = np.split(samples, edges)
    return (
        samples.mean(),
        [np.concatenate(groups[:j] + groups[j + 1 :]).mean() for j in range(len(groups))],
        [len(group) for group in groups],
    )


@given(
    value=st.floats(-2, 2),
    moves=st.lists(st.floats(-0.1, 0.1), min_size=5, max_size=12),
    seed=st.integers(0, 999),
)
def test_against_pseudo_values(value, moves, seed):
    sizes = np.random.default_rng(seed).integers(1, 30, len(moves))
    without = value + np.array(moves)
    found = jackknife(value, without, sizes)
    variance = oracles_samples.jackknife_variance(value, without, list(sizes))
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-7, abs=1e-12)
    n, groups = sizes.sum(), len(sizes)
    estimate = groups * value - sum((1 - m / n) * w for m, w in zip(sizes, without, strict=True))
    assert found.estimate == pytest.approx(estimate, abs=1e-11)
    assert found.bias == pytest.approx(value - estimate, abs=1e-11)
    t = scipy.stats.t.ppf(0.975, groups - 1)
    around = math.sqrt(variance + (found.bias / groups) ** 2)
    assert found.high - found.low == pytest.approx(2 * t * around, rel=1e-7, abs=1e-12)
    assert 0.5 * (found.high + found.low) == pytest.approx(estimate, abs=1e-11)
    assert (found.groups, found.level) == (groups, 0.95)


def test_limits_about_the_value_are_moved_by_the_bias_and_know_nothing_of_its_error():
    value, without, sizes = 0.4, 0.4 + 0.1 * rng.uniform(size=9), [3] * 9
    one, other = jackknife(value, without, sizes), jackknife(value, without, sizes, about="sample")
    assert one.bias > 0.1
    for field in ("estimate", "standard_error", "bias"):
        assert getattr(one, field) == getattr(other, field)
    assert 0.5 * (other.low + other.high) == pytest.approx(0.4, rel=1e-13)
    assert 0.5 * (one.low + one.high) == pytest.approx(0.4 - one.bias, rel=1e-13)
    t = scipy.stats.t.ppf(0.975, 8)
    assert other.high - 0.4 == pytest.approx(t * one.standard_error, rel=1e-9)
    assert one.high - one.estimate == pytest.approx(
        t * math.hypot(one.standard_error, one.bias / 9), rel=1e-9
    )


def test_equal_groups_are_the_usual_formula():
    value, without = 1.3, 1.3 + 0.1 * rng.standard_normal(20)
    found = jackknife(value, without, [7] * 20, level=0.9)
    usual = math.sqrt(19 / 20 * ((without - without.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(usual, rel=1e-12)
    assert found.bias == pytest.approx(19 * (without.mean() - value), rel=1e-12)
    around = math.hypot(usual, found.bias / 20)
    assert found.high - found.estimate == pytest.approx(scipy.stats.t.ppf(0.95, 19) * around, rel=1e-12)


def test_the_mean_in_groups_of_one_has_its_textbook_error_and_no_bias():
    samples = rng.standard_normal(40)
    value, without, sizes = mean_without(samples, np.arange(1, 40))
    found = jackknife(value, without, sizes)
    assert found.standard_error == pytest.approx(scipy.stats.sem(samples), rel=1e-12)
    assert found.bias == pytest.approx(0.0, abs=1e-14)
    low, high = scipy.stats.t.interval(0.95, 39, samples.mean(), scipy.stats.sem(samples))
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), rel=1e-12)


def test_the_mean_in_unequal_groups_has_no_bias():
    value, without, sizes = mean_without(rng.standard_normal(60), [3, 10, 11, 30, 41])
    assert len(set(sizes)) > 4
    assert jackknife(value, without, sizes).bias == pytest.approx(0.0, abs=1e-14)


def test_the_bias_of_the_divided_variance_is_removed():
    """Σ(x − x̄)²/n is too small by 1/n of the truth: the estimate is Σ(x − x̄)²/(n − 1) exactly."""
    samples = rng.standard_normal(30)
    found = jackknife(samples.var(), [np.delete(samples, j).var() for j in range(30)], [1] * 30)
    assert found.estimate == pytest.approx(samples.var(ddof=1), rel=1e-12)


def test_many_statistics_at_once_are_those_one_by_one():
    value, sizes = rng.uniform(size=(3, 4)), rng.integers(2, 9, 6)
    without = value + 0.1 * rng.standard_normal((6, 3, 4))
    together = jackknife(value, without, sizes)
    assert together.low.shape == (3, 4)
    for field in ("low", "high", "estimate", "standard_error", "bias"):
        alone = [
            [getattr(jackknife(value[i, j], without[:, i, j], sizes), field) for j in range(4)]
            for i in range(3)
        ]
        np.testing.assert_allclose(getattr(together, field), alone, rtol=1e-12)


def test_a_statistic_that_no_group_moves_has_no_width():
    found = jackknife(1.0, np.ones(8), [4] * 8)
    assert float(found.low) == float(found.high) == 1.0


@given(count=st.integers(2, 9), seed=st.integers(0, 999))
def test_leaving_out_is_merging_the_others(count, seed):
    generator = np.random.default_rng(seed)
    blocks = [generator.standard_normal((generator.integers(1, 6), 3)) + 5.0 for _ in range(count)]
    without = leave_one_out([Moments.from_block(block) for block in blocks])
    assert len(without) == count
    for j, found in enumerate(without):
        direct = Moments.from_block(np.concatenate(blocks[:j] + blocks[j + 1 :]))
        assert found.n == direct.n
        np.testing.assert_allclose(found.mean, direct.mean, rtol=1e-13)
        np.testing.assert_allclose(found.comoment, direct.comoment, rtol=0, atol=1e-12)


class Counted:
    merges = 0

    def merge(self, other):
        type(self).merges += 1
        return self


def test_leaving_out_takes_three_merges_a_group():
    leave_one_out([Counted() for _ in range(20)])
    assert Counted.merges == 3 * 18


def test_too_few_groups_have_no_interval():
    with pytest.raises(UndefinedIndexError, match="at least 5 groups") as caught:
        jackknife(0.5, [0.5] * 4, [10] * 4)
    assert caught.value.status == "too_few_groups"
    with pytest.raises(UndefinedIndexError) as caught:
        leave_one_out([Moments.from_block(np.ones((2, 2)))])
    assert caught.value.status == "too_few_groups"


@pytest.mark.parametrize("hole", [math.nan, math.inf])
def test_a_statistic_undefined_without_a_group_has_no_interval(hole):
    without = np.full((6, 3), 0.5)
    without[2, 1] = hole
    with pytest.raises(UndefinedIndexError, match="1 that are not") as caught:
        jackknife(np.full(3, 0.5), without, [10] * 6)
    assert caught.value.status == "undefined_without_a_group"
    with pytest.raises(UndefinedIndexError):
        jackknife(hole, [0.5] * 6, [10] * 6)


def test_what_does_not_belong_together_is_refused():
    for value, without, sizes in (
        (0.5, [0.5] * 6, [10] * 5),
        (np.zeros(2), np.zeros((6, 3)), [10] * 6),
        (0.5, [0.5] * 6, 10),
        (0.5, [0.5] * 6, [10] * 5 + [0]),
    ):
        with pytest.raises(RowsError, match="jackknife"):
            jackknife(value, without, sizes)
    for level in (0.0, 1.0, 95):
        with pytest.raises(RowsError, match="level"):
            jackknife(0.5, [0.5] * 6, [10] * 6, level=level)


def test_the_groups_of_the_simulation_are_unequal_and_complete():
    sizes = group_sizes(200)
    assert (len(sizes), sizes.sum(), sizes.min(), sizes.max()) == (GROUPS, 200, 5, 15)
