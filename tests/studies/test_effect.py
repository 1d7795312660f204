"""How strong a finding is: limits held against closed forms, another library, and what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stitchpipe.studies.effect import jackknifed_over, mean_of, share_of_targets, unit_of, wilson
from stitchpipe.studies.facts import stages_of
from stitchpipe.studies.rank_correlation import codes, kendall, spearman


@pytest.mark.parametrize(("holds", "cases"), [(0, 9), (7, 9), (9, 9), (431, 1000)])
def test_limits_of_a_share_are_wilsons(holds, cases):
    expected = stats.binomtest(holds, cases).proportion_ci(0.95, method="wilson")
    assert wilson(holds, cases) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0, cases)[0] == 0.0
    assert wilson(cases, cases)[1] == 1.0


def test_limits_of_a_mean_are_students():
    values = [0.1, 0.4, 0.2, 0.9]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    effect = mean_of("", values, "units")
    assert (effect.low, effect.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert mean_of("", values[:2], "units").low is None


def test_the_jackknife_of_a_mean_is_students():
    """Of a mean, leaving out one unit at a time gives the standard error of the mean exactly."""
    values = np.array([0.3, -0.2, 0.8, 0.1, 0.4])
    effect = jackknifed_over("", [values], np.arange(5), lambda x: float(x.mean()), "units")
    expected = mean_of("", values, "units")
    assert (effect.low, effect.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_jackknife_of_a_correlation_holds_the_true_one():
    """300 samples of 25 units with ρ = .6: the share of intervals that hold the true Spearman correlation."""
    generator = np.random.default_rng(0)
    true = 6 / np.pi * np.arcsin(0.6 / 2)
    held = 0
    for _ in range(300):
        x = generator.standard_normal(25)
        y = 0.6 * x + 0.8 * generator.standard_normal(25)
        effect = jackknifed_over("", [codes(x), codes(y)], np.arange(25), spearman, "units")
        held += effect.low <= true <= effect.high
    # Three standard errors of a share of .95 over 300 samples, and no more than 3 % of error in small samples.
    assert held / 300 >= 0.95 - 0.03 - 3 * np.sqrt(0.95 * 0.05 / 300)


def test_rank_correlations_are_scipys():
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, 6, 40), generator.standard_normal(40)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert spearman(codes(y), x) == pytest.approx(stats.spearmanr(y, x).statistic, abs=1e-12)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert np.isnan(spearman(np.ones(5), y[:5]))


def test_of_many_networks_a_network_is_the_unit():
    rows = [
        {"target_model": model, "target_layer": layer, "holds": model < "c"}
        for model in "abcde"
        for layer in "xy"
    ]
    many = pd.DataFrame(rows)
    few = many[many["target_model"] < "e"]
    assert unit_of(many)[1] == "target networks"
    assert unit_of(few)[1] == "target layers"
    share = share_of_targets("", many, "holds")
    assert (share.value, share.units) == (0.4, 5)
    assert share_of_targets("", few, "holds").units == 8


def test_a_stage_ends_where_the_shape_changes():
    assert stages_of([(16, 8, 8), (16, 8, 8), (32, 4, 4), (16, 8, 8)]) == [0, 0, 1, 2]
    assert stages_of([(192, 64)] * 12) is None
