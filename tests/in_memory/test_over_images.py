"""Indices over samples, intervals and p-values in memory: those of the oracles, on request, and for every basis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stitchpipe.algebra import INDICES, AlgebraError
from stitchpipe.in_memory import compare, compare_arrays, over_images
from tests import oracles, oracles_samples

N = 60
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 6))
Y = X @ RNG.normal(size=(6, 4)) + 0.5 * RNG.normal(size=(N, 4))
ALONE = RNG.normal(size=(N, 5))


def of(frame, index, source="a", target="b"):
    (row,) = frame[
        (frame["index"] == index) & (frame["source"] == source) & (frame["target"] == target)
    ].to_dict("records")
    return row


@pytest.fixture(scope="module")
def frame():
    return compare_arrays(
        {"a": X, "b": Y, "c": ALONE}, indices=list(INDICES), intervals=True, permutations=99
    )


def test_every_index_of_the_registry_has_a_number_or_a_reason(frame):
    assert set(frame["index"]) == set(INDICES)
    assert len(frame) == 9 * len(INDICES)
    refused = frame[(frame["status"] != "ok") & (frame["source"] != frame["target"])]
    assert set(refused["index"]) == {"agreement"}
    assert set(refused["status"]) == {"different_classes"}


def test_indices_over_samples_are_those_of_the_oracles(frame):
    expected = {
        "rsa": oracles_samples.rsa(X, Y),
        "mutual_knn": oracles_samples.mutual_knn(X, Y, 10),
        "cka_rbf": oracles_samples.kernel_cka(
            oracles_samples.rbf(X), oracles_samples.rbf(Y), oracles.hsic_unbiased
        ),
        "cka_minibatch": oracles.cka(X, Y),
    }
    for index, value in expected.items():
        for pair in (("a", "b"), ("b", "a")):
            assert of(frame, index, *pair)["value"] == pytest.approx(value, rel=1e-9), index
    logits = compare_arrays({"a": X, "b": ALONE[:, :1] * X}, indices=["agreement"])
    assert of(logits, "agreement")["value"] == oracles_samples.agreement(X, ALONE[:, :1] * X)


@pytest.mark.parametrize("index", ["cka", "cka_biased", "rv", "cka_rbf"])
def test_cka_has_an_effect_size_with_permutations_and_without(frame, index):
    """Both nulls are of the same samples: they agree, and three moments are exact."""
    permuted = of(frame, index)
    assert permuted["null_gap"] < 6
    assert permuted["null_moments"] == 3
    alone = of(compare_arrays({"a": X, "b": Y}, indices=[index]), index)
    assert alone["effect_size"] == pytest.approx(permuted["effect_size"], rel=1e-9)
    assert alone["p_closed"] < 0.01
    assert alone["null_moments"] == (3 if index == "cka_rbf" else 2)
    if index == "cka_biased":
        assert alone["null_mean"] > 0.01
    assert of(frame, "rsa")["effect_size"] is None


def test_the_estimate_without_its_bias_stands_beside_the_number(frame):
    """Of limits about the estimate it is their middle; of biased CKA it lies nearer to the debiased one."""
    biased, debiased = of(frame, "cka_biased"), of(frame, "cka")
    assert biased["corrected"] == pytest.approx((biased["low"] + biased["high"]) / 2)
    assert abs(biased["corrected"] - debiased["value"]) < abs(biased["value"] - debiased["value"])
    pwcca = of(frame, "pwcca")
    assert pwcca["corrected"] < pwcca["value"] == pytest.approx((pwcca["low"] + pwcca["high"]) / 2)


@pytest.mark.parametrize("index", ["cka", "rsa", "mutual_knn", "cka_rbf"])
def test_p_values_tell_what_belongs_together_from_what_does_not(frame, index):
    assert of(frame, index)["p_value"] == 0.01
    assert of(frame, index)["calibrated"] > 0
    assert of(frame, index, "a", "c")["p_value"] > 0.05
    assert of(frame, index, "a", "c")["calibrated"] == 0


def test_an_interval_is_the_jackknife_of_the_plain_function(frame):
    groups = np.array_split(np.random.default_rng(0).permutation(N), 20)
    without = [oracles.cka(*(np.delete(rows, group, axis=0) for rows in (X, Y))) for group in groups]
    value = oracles.cka(X, Y)
    error = np.sqrt(oracles_samples.jackknife_variance(value, without, [3] * 20))
    bias = 19 * (np.mean(without) - value)
    row = of(frame, "cka")
    assert row["high"] - row["low"] == pytest.approx(2 * 2.093024054 * np.hypot(error, bias / 20), rel=1e-6)
    assert row["low"] < value < row["high"]
    assert frame[frame["index"] == "rsa"]["low"].isna().all()


def test_nothing_is_beside_numbers_that_was_not_asked_for():
    plain = compare_arrays({"a": X, "b": Y}, indices=["cka", "rsa"])
    assert plain[["low", "high", "p_value", "calibrated"]].isna().all(axis=None)
    few = compare_arrays({"a": X[:9], "b": Y[:9]}, indices=["cka"], intervals=True)
    assert few["low"].isna().all()


def test_held_out_maps_stay_where_samples_are_left_out():
    halves = {"a": X[:30], "b": Y[:30]}, {"a": X[30:], "b": Y[30:]}
    held = compare_arrays(halves[0], fit=halves[1], indices=["dm_r2"], intervals=True)
    row = of(held, "dm_r2")
    W, b = oracles.direct_matching(X[30:], Y[30:])
    assert row["value"] == pytest.approx(oracles.dm_r2(W, b, X[:30], Y[:30]), rel=1e-9)
    assert row["low"] < row["value"] < row["high"]


def test_of_many_samples_a_seeded_choice_counts(monkeypatch):
    monkeypatch.setattr(over_images, "MOST_IMAGES", 40)
    row = of(compare_arrays({"a": X, "b": Y}, indices=["rsa", "cka"]), "rsa")
    chosen = np.sort(np.random.default_rng(0).permutation(N)[:40])
    assert row["value"] == pytest.approx(oracles_samples.rsa(X[chosen], Y[chosen]), rel=1e-9)
    assert (row["n_samples"], row["n_rows"]) == (40, 40)


def test_blocks_of_representations_are_one_comparison(monkeypatch):
    arrays = {"a": X, "b": Y, "c": ALONE}
    whole = compare_arrays(arrays, indices=["rsa", "cka"], permutations=19)
    monkeypatch.setattr(over_images, "BLOCK", 2)
    blocks = compare_arrays(arrays, indices=["rsa", "cka"], permutations=19)
    pd.testing.assert_frame_equal(whole, blocks, rtol=1e-12)


def test_samples_with_several_rows_have_no_such_index():
    images = RNG.normal(size=(20, 3, 2, 2))
    frame = compare_arrays({"a": images}, view="positions", indices=["rsa", "cka_biased"], permutations=19)
    assert of(frame, "rsa", "a", "a")["status"] == "dependent_rows"
    assert of(frame, "cka_biased", "a", "a")["status"] == "ok"
    pooled = compare_arrays({"a": images, "b": images[:, :2]}, view="pooled", indices=["rsa"])
    means = images.mean(axis=(2, 3))
    assert of(pooled, "rsa")["value"] == pytest.approx(oracles_samples.rsa(means, means[:, :2]), rel=1e-9)


def test_progress_is_told_pair_by_pair():
    told = []
    compare_arrays(
        {"a": X, "b": Y}, indices=["cka"], intervals=True, progress=lambda *done: told.append(done)
    )
    assert told[0] == (0, 63)
    assert told[-1] == (63, 63)


def test_arrays_need_no_names():
    pair = compare(X, Y, indices=["cka"])
    assert of(pair, "cka", "X", "Y")["value"] == pytest.approx(oracles.cka(X, Y), rel=1e-9)
    three = compare([X, Y, ALONE], indices=["cka"])
    assert three["source"].unique().tolist() == ["0", "1", "2"]
    held = compare(X[:30], Y[:30], fit=(X[30:], Y[30:]), indices=["dm_r2"])
    assert set(held["fit"]) == {"held_out"}
    with pytest.raises(AlgebraError):
        compare(X, Y[:-1])
