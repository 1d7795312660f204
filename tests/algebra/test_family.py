"""Family-wise p-values: the definition, exactness by going through all orders, and how often they find nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from stitchpipe.algebra.certainty import (
    NO_FAMILY,
    NullScale,
    benjamini_yekutieli,
    calibrate_in_family,
    draw_permutations,
    family_maxima,
    permutation_null,
)
from stitchpipe.algebra.errors import RowsError
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.samples import SampleGram
from tests import oracles_samples


def calibrated(observed, null, level=0.05, families=None):
    """Return the calibration of pairs ``[m]`` under ``null [K, m]``, all in one family."""
    scale = NullScale.of(null)
    _, maxima = family_maxima(scale.studentised(observed, null), np.zeros(len(observed), np.int64))
    return calibrate_in_family(observed, scale, maxima[0], level=level)


def drawn(seed, pairs, draws, spreads=(0.01, 0.3)):
    """Return values and nulls of pairs with nulls of very different spread, dependent on each other."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(draws + 1)
    values = 0.5 * common[:, None] + rng.standard_normal((draws + 1, pairs))
    values = 0.1 + values * rng.uniform(*spreads, pairs) / 5
    return values[0], values[1:]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_against_the_definitions(seed, level):
    observed, null = drawn(seed, pairs=5, draws=39)
    observed = observed + np.array([0.3, 0.02, 0, 0, 0.6])  # some that stand out, and one far away
    found = calibrated(observed, null, level)
    expected = oracles_samples.family_wise(observed, null.T)
    np.testing.assert_allclose(found.p_value, expected)
    for pair in range(5):
        threshold = oracles_samples.family_threshold(observed, null.T, pair, level)
        assert found.threshold[pair] == pytest.approx(threshold)
        score = (observed[pair] - threshold) / (1 - threshold) if observed[pair] > threshold else 0
        assert found.score[pair] == pytest.approx(min(1, score))
        assert (found.score[pair] > 0) == (found.p_value[pair] <= level)
        assert found.p_value[pair] >= oracles_samples.p_value(observed[pair], null[:, pair])


def test_a_family_of_one_pair_is_the_pair():
    observed, null = drawn(3, pairs=1, draws=99)
    found = calibrated(observed + 0.05, null)
    assert found.p_value[0] == oracles_samples.p_value(observed[0] + 0.05, null[:, 0])


def test_pairs_of_any_spread_weigh_alike():
    """Of the largest of values as they are, one pair with a wide null takes the power from all others."""
    observed, null = drawn(1, pairs=6, draws=199)
    null[:, 0] = 40 * (null[:, 0] - null[:, 0].mean()) + 0.1
    observed[0], observed[3] = 0.1, null[:, 3].mean() + 5 * null[:, 3].std()
    assert calibrated(observed, null).p_value[3] == 1 / 200
    assert oracles_samples.p_value(observed[3], null.max(axis=1)) > 0.1


def test_a_far_value_leaves_its_threshold_to_the_null():
    observed, null = drawn(2, pairs=4, draws=199, spreads=(0.02, 0.021))
    observed[1] = 0.9
    found = calibrated(observed, null)
    assert found.threshold[1] < null[:, 1].mean() + 6 * null[:, 1].std()
    assert found.p_value[1] == 1 / 200


def test_pairs_that_no_order_changes_find_nothing():
    observed, null = drawn(4, pairs=3, draws=19)
    observed[0], null[:, 0] = 0.5, 0.5
    null[::2, 0] -= 1e-15
    found = calibrated(observed, null)
    assert (found.p_value[0], found.score[0]) == (1.0, 0.0)
    assert np.isfinite(found.threshold).all()


def test_a_null_without_spread_below_the_value_is_reached_by_no_order_of_its_own():
    found = calibrated(np.array([0.5]), np.full((19, 1), 0.2))
    assert found.p_value[0] == 1 / 20
    assert found.score[0] == pytest.approx((0.5 - 0.2) / 0.8)


def test_maxima_of_parts_merge_to_those_of_the_whole():
    observed, null = drawn(5, pairs=9, draws=30)
    families = np.array([4, 7, 4, NO_FAMILY, 7, 7, 4, 2, NO_FAMILY])
    z = NullScale.of(null).studentised(observed, null)
    codes, maxima = family_maxima(z, families)
    assert codes.tolist() == [2, 4, 7]
    for code, largest in zip(codes, maxima, strict=True):
        np.testing.assert_array_equal(largest, z[:, families == code].max(axis=1))
        parts = [family_maxima(z[:, part], families[part]) for part in (slice(0, 4), slice(4, 9))]
        of_parts = [found[list(known).index(code)] for known, found in parts if code in known]
        np.testing.assert_array_equal(largest, np.max(of_parts, axis=0))
    assert family_maxima(z[:, :0], families[:0])[1].shape == (0, 30)


def test_maxima_of_other_permutations_are_refused():
    observed, null = drawn(0, pairs=2, draws=19)
    with pytest.raises(RowsError, match="19 permutations"):
        calibrate_in_family(observed, NullScale.of(null), np.zeros(18))
    with pytest.raises(RowsError, match="smallest p of 19"):
        calibrate_in_family(observed, NullScale.of(null), np.zeros(19), level=0.01)


def layers(rng, n, count):
    return [
        linear_kernel(SampleGram.from_block(rng.standard_normal((n, width)))) for width in range(1, count + 1)
    ]


def test_exact_over_the_whole_group():
    """With all other orders as the null, a share of level of them finds anything: counted, not drawn."""
    n = 5
    rng = np.random.default_rng(8)
    x, y = layers(rng, n, 3), layers(rng, n, 2)
    group = np.array(list(itertools.permutations(range(n))))
    values = permutation_null(x, y, group).null.reshape(len(group), -1)
    smallest = []
    for observed in range(len(group)):
        others = np.delete(values, observed, axis=0)
        smallest.append(calibrated(values[observed], others).p_value.min())
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(np.array(smallest) <= level) <= level
        # Not far below either: what is lost is the grid of 1/120, and ties.
        assert np.mean(np.array(smallest) <= level) >= level - 0.04


@given(
    p_values=st.lists(st.integers(1, 200).map(lambda k: k / 200), min_size=1, max_size=30),
    split=st.integers(0, 29),
)
def test_false_discoveries_against_scipy_and_the_definition(p_values, split):
    p = np.array(p_values)
    np.testing.assert_allclose(
        benjamini_yekutieli(p, np.zeros(len(p), np.int64)),
        false_discovery_control(p, method="by"),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        benjamini_yekutieli(p, np.zeros(len(p), np.int64)), oracles_samples.benjamini_yekutieli(p), rtol=1e-12
    )
    families = np.where(np.arange(len(p)) < split, 3, NO_FAMILY)
    found = benjamini_yekutieli(p, families)
    assert np.isnan(found[split:]).all()
    if p[:split].size:
        np.testing.assert_allclose(found[:split], false_discovery_control(p[:split], method="by"), rtol=1e-12)


def findings(zoos, *, models, layers_each, n, draws, seed):
    """Return the share of zoos of unpaired models in which some pair of models has a family-wise p ≤ .05, by family."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(zoos):
        zoo = []
        for _ in range(models):
            base = rng.standard_normal((n, 4))
            zoo.append(
                [
                    linear_kernel(SampleGram.from_block(np.tanh(base @ rng.standard_normal((4, width)))))
                    for width in rng.integers(1, 9, layers_each)
                ]
            )
        null = permutation_null(zoo[0], zoo[1], draw_permutations(n, draws, seed=int(rng.integers(2**31))))
        p = calibrated(null.observed.reshape(-1), null.null.reshape(draws, -1)).p_value
        found += p.min() <= 0.05
    return found / zoos


def test_unpaired_models_have_a_finding_in_five_of_a_hundred():
    share = findings(200, models=2, layers_each=4, n=14, draws=39, seed=21)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
def test_unpaired_models_have_a_finding_in_five_of_a_hundred_of_many():
    share = findings(4000, models=2, layers_each=7, n=30, draws=99, seed=22)
    assert abs(share - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 4000)
