"""Intervals hold the truth as often as they say, and permutation tests find nothing in independent layers.

The bounds are those of `tests.algebra.coverage`'s tables in DESIGN.md, widened by the noise of the replications.
"""

import numpy as np
import pytest

from stitchpipe import algebra
from tests.algebra.coverage import (
    INDICES,
    POPULATIONS,
    ROWS_PER_IMAGE,
    Population,
    coverage,
    rejections,
    sample_coverage,
)

REPLICATIONS = 400
NOISE = 3 * 100 * np.sqrt(0.05 * 0.95 / REPLICATIONS)


def within_target(found):
    """93 to 97 %, up to noise."""
    return (found >= 93 - NOISE) & (found <= 97 + NOISE)


@pytest.mark.slow
@pytest.mark.parametrize("per_image", [1, ROWS_PER_IMAGE])
@pytest.mark.parametrize("images", [200, 500])
def test_intervals_hold_the_population(images, per_image):
    found = coverage(POPULATIONS["related, 8 and 6 wide"], images, per_image, REPLICATIONS)
    smooth = np.array([index != "cca" for index in INDICES])
    assert within_target(found.of_truth[smooth]).all(), found
    assert found.of_truth[~smooth] >= 88 - NOISE


@pytest.mark.slow
def test_what_the_limits_are_for_where_the_bias_is_large():
    """n = 200 for 40 and 30 columns: smooth indices are mended by the correction, the mean of ρ is not."""
    found = dict(
        zip(INDICES, coverage(POPULATIONS["related, 40 and 30 wide"], 200, 1, 200).of_truth, strict=True)
    )
    assert min(found["cka"], found["cka_biased"], found["dm_r2"]) >= 90
    assert found["cca"] < 20
    assert found["procrustes"] < 70


def test_limits_of_ridge_cca_are_about_its_value(monkeypatch):
    """As every sum of singular values: about a corrected value they hold the population's in a few per cent."""
    monkeypatch.setattr("tests.algebra.coverage.TRUTH_BLOCKS", 4)
    found = coverage(POPULATIONS["related, 40 and 30 wide"], 200, 1, 60, indices=("ridge_cca",))
    assert found.of_truth[0] < 20
    assert found.of_mean[0] >= 90
    assert algebra.INDICES["ridge_cca"].measure.interval == "sample"


@pytest.mark.slow
def test_intervals_of_indices_over_samples():
    """Mutual k-NN tends to 0 as samples are added with k fixed: only limits about its value mean anything."""
    found = sample_coverage(POPULATIONS["related, 8 and 6 wide"], 200, 150)
    noise = 3 * 100 * np.sqrt(0.05 * 0.95 / 150)
    assert (found.of_truth[:3] >= 93 - noise).all(), found
    assert (found.of_mean >= 93 - noise).all(), found


@pytest.mark.slow
def test_permutation_tests_find_nothing_in_independent_layers():
    for index, rate in rejections(REPLICATIONS).items():
        assert rate <= 5 + NOISE, index
        assert rate >= 5 - NOISE, index


@pytest.mark.slow
def test_rows_of_one_image_passed_as_samples_are_found_wherever_nothing_is():
    """Why the image is the unit."""
    rates = rejections(40, images=10, per_image=ROWS_PER_IMAGE)
    assert min(rates.values()) > 50


def test_a_few_replications_run(monkeypatch):
    monkeypatch.setattr("tests.algebra.coverage.TRUTH_BLOCKS", 1)
    monkeypatch.setattr("tests.algebra.coverage.TRUTH_IMAGES", 60)
    small = Population(3, 4, 2, 0.5, seed=11)  # of its own: truths are kept
    for found in (coverage(small, 100, 1, 2), coverage(small, 40, 3, 1), sample_coverage(small, 40, 1)):
        assert np.isfinite(found.truth).all()
        assert set(found.of_mean) <= {0.0, 50.0, 100.0}
    assert rejections(2, permutations=19)["cka"] in {0.0, 50.0, 100.0}
