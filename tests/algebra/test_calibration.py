"""p-values and calibrated scores from a null."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stitchpipe.algebra.certainty import calibrate
from stitchpipe.algebra.errors import RowsError
from tests import oracles_samples

HUNDREDTHS = st.integers(-99, 99).map(
    lambda value: value / 100
)  # ties are frequent, rounding is far from them


@settings(max_examples=150, deadline=None)
@given(
    null=st.lists(HUNDREDTHS, min_size=1, max_size=60),
    observed=HUNDREDTHS,
    level=st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5]),
)
def test_against_the_definitions(null, observed, level):
    if level < 1 / (len(null) + 1):
        with pytest.raises(RowsError, match="level"):
            calibrate(np.array(observed), np.array(null), level=level)
        return
    found = calibrate(np.array(observed), np.array(null), level=level)
    assert float(found.p_value) == pytest.approx(oracles_samples.p_value(observed, null))
    assert float(found.score) == pytest.approx(
        oracles_samples.calibrated_score(observed, null, level), abs=1e-12
    )
    assert float(found.threshold) in null
    assert (float(found.score) > 0) == (float(found.p_value) <= level)
    assert found.permutations == len(null)


def test_closed_cases():
    null = np.arange(1, 200)[:, None] / 1000  # K = 199: τ is the 190th of them
    found = calibrate(np.array([0.19, 0.191, 0.595, 1.0]), np.broadcast_to(null, (199, 4)))
    np.testing.assert_allclose(found.threshold, 0.19)
    np.testing.assert_allclose(found.score, [0, 0.001 / 0.81, 0.5, 1], rtol=1e-12)
    np.testing.assert_allclose(found.p_value, [11 / 200, 10 / 200, 1 / 200, 1 / 200])


def test_ties_by_rounding_count_against_the_observed_value():
    assert calibrate(np.array(0.5), np.full(19, 0.5 - 1e-14)).p_value == 1.0
    assert calibrate(np.array(0.5), np.full(19, 0.5 - 1e-14)).score == 0.0
    assert calibrate(np.array(0.5), np.full(19, 0.5 - 1e-9)).p_value == pytest.approx(1 / 20)


def test_a_null_at_the_largest_value_leaves_no_room():
    found = calibrate(np.array(1.0), np.ones(19))
    assert (float(found.score), float(found.p_value)) == (0.0, 1.0)


def test_shapes_and_levels_that_do_not_belong_together_are_refused():
    for null in (np.zeros((9, 3)), np.zeros((0, 2)), np.zeros(2)):
        with pytest.raises(RowsError, match="calibration"):
            calibrate(np.zeros(2), null)
    for level in (0.0, 0.04, 1.0, 1.5):
        with pytest.raises(RowsError, match="smallest p of 19"):
            calibrate(np.array(0.5), np.zeros(19), level=level)
