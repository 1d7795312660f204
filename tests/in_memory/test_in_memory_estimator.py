"""Direct matching as a scikit-learn estimator."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from stitchpipe import algebra
from stitchpipe.in_memory.estimator import DirectMatching
from tests.algebra.cases import related

X, Y = related(n=100)


@parametrize_with_checks([DirectMatching()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_is_direct_matching():
    fitted, plain = DirectMatching().fit(X[:60], Y[:60]), algebra.direct_matching(X[:60], Y[:60])
    np.testing.assert_array_equal(fitted.coef_, plain.W)
    np.testing.assert_array_equal(fitted.predict(X[60:]), plain.predict(X[60:]))
    assert fitted.score(X[60:], Y[60:]) == pytest.approx(plain.r2(X[60:], Y[60:]), rel=1e-13)
    assert (fitted.rank_, fitted.condition_) == (plain.rank, plain.condition)


def test_its_score_weighs_outputs_by_variance():
    scaled = Y * np.array([10.0] + [0.01] * 8)
    predicted = LinearRegression().fit(X[:60], scaled[:60]).predict(X[60:])
    score = DirectMatching().fit(X[:60], scaled[:60]).score(X[60:], scaled[60:])
    expected = r2_score(scaled[60:], predicted, multioutput="variance_weighted")
    assert score == pytest.approx(expected, rel=1e-10)
    assert score != pytest.approx(r2_score(scaled[60:], predicted), rel=1e-3)


def test_one_output_has_one_dimensional_shapes():
    fitted = DirectMatching().fit(X, Y[:, 0])
    assert (fitted.coef_.shape, fitted.predict(X).shape) == ((12,), (100,))
    theirs = LinearRegression().fit(X, Y[:, 0])
    np.testing.assert_allclose(fitted.coef_, theirs.coef_, rtol=1e-10)
    assert fitted.intercept_ == pytest.approx(theirs.intercept_, rel=1e-10)


def test_the_storage_precision_is_that_of_the_rows_unless_it_is_given():
    dependent = np.column_stack([X, X[:, 0] + X[:, 1]]).astype(np.float16)
    assert DirectMatching().fit(dependent, Y).rank_ == 12
    assert DirectMatching(storage_eps=2.0**-52).fit(dependent, Y).rank_ == 13


def test_it_works_in_pipelines_and_cross_validation():
    scores = cross_val_score(make_pipeline(StandardScaler(), DirectMatching()), X, Y, cv=4)
    assert scores.shape == (4,)
    assert (scores > 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"family": "ridge", "parameter": 0.1},
        {"family": "orthogonal"},
        {"family": "low_rank"},
        {"solver": "tsqr"},
    ],
)
def test_other_maps_and_the_other_solver(options):
    fitted, plain = DirectMatching(**options).fit(X, Y), algebra.direct_matching(X, Y, **options)
    np.testing.assert_array_equal(fitted.coef_, plain.W)
    assert (fitted.rank_, fitted.condition_) == (plain.rank, plain.condition)
