"""GULP and ridge CCA: oracle, an independent library, closed cases and limits."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from stitchpipe import algebra
from stitchpipe.algebra import PairMoments, UndefinedIndexError
from tests import oracles
from tests.algebra.cases import conditioned, orthogonal, related

PAIRS = {
    "wider source": related(n=120, p=12, q=9, seed=0),
    "wider target": related(n=120, p=5, q=14, seed=10),
    "unrelated": (conditioned(100, 7, 4.0, 30), conditioned(100, 6, 4.0, 40)),
    "fewer rows than features": tuple(rows[:20] for rows in related(n=120, p=30, q=25, seed=50)),
}
RIDGES = [1e-4, 1e-2, 1.0, 100.0]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("name", ["gulp", "ridge_cca"])
def test_index_is_the_oracles(name, ridge, pair):
    X, Y = PAIRS[pair]
    expected = getattr(oracles, name)(X, Y, ridge)
    assert getattr(algebra, name)(X, Y, ridge=ridge) == pytest.approx(expected, rel=1e-9)
    moments = PairMoments.from_rows(X, Y)
    assert algebra.evaluate(f"{name}({ridge})", moments).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("ridge", RIDGES)
def test_gulp_is_the_distance_of_scikit_learns_ridge_regressions(pair, ridge):
    """All labels at once: an identity matrix. Predictions at the rows; the distance is their Frobenius norm."""
    n = len(PAIRS[pair][0])
    predictions = []
    for rows in PAIRS[pair]:
        unit = np.sqrt(n) * (rows - rows.mean(axis=0)) / np.linalg.norm(rows - rows.mean(axis=0))
        model = Ridge(alpha=n * ridge, fit_intercept=False, solver="svd")
        predictions.append(model.fit(unit, np.eye(n)).predict(unit))
    expected = np.linalg.norm(predictions[0] - predictions[1])
    assert algebra.gulp(*PAIRS[pair], ridge=ridge) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("ridge", RIDGES)
def test_ridge_cca_against_scipys_generalised_eigenvalues(pair, ridge):
    """The penalised correlations are the positive eigenvalues of the problem that Hotelling wrote down."""
    X, Y = (rows - rows.mean(axis=0) for rows in PAIRS[pair])
    p, q = X.shape[1], Y.shape[1]
    joint = np.block([[np.zeros((p, p)), X.T @ Y], [Y.T @ X, np.zeros((q, q))]])
    sides = [Z.T @ Z + ridge * np.sum(Z**2) * np.eye(Z.shape[1]) for Z in (X, Y)]
    rho = scipy.linalg.eigh(joint, scipy.linalg.block_diag(*sides), eigvals_only=True)
    dimensions = [np.trace(np.linalg.solve(side, Z.T @ Z)) for side, Z in zip(sides, (X, Y), strict=True)]
    expected = rho[rho > 0].sum() / np.sqrt(np.prod(dimensions))
    assert algebra.ridge_cca(X, Y, ridge=ridge) == pytest.approx(expected, rel=1e-9)


def test_closed_case_of_orthogonal_columns():
    """Hadamard columns, 3 and 5 with 2 in common: every direction of a side holds 1/3, or 1/5, of it."""
    H = scipy.linalg.hadamard(16).astype(float)[:, 1:]
    X, Y, ridge = H[:, :3], H[:, 1:6], 0.2
    f, g = (1 / 3) / (1 / 3 + ridge), (1 / 5) / (1 / 5 + ridge)
    expected = np.sqrt(3 * f**2 + 5 * g**2 - 2 * 2 * f * g)
    assert algebra.gulp(X, Y, ridge=ridge) == pytest.approx(expected, rel=1e-14)
    assert algebra.ridge_cca(X, Y, ridge=ridge) == pytest.approx(2 / np.sqrt(15), rel=1e-14)
    assert algebra.nbs(X, Y) == pytest.approx(2 / np.sqrt(15), rel=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), ridge=st.sampled_from(RIDGES))
def test_a_rotation_is_at_distance_zero_and_nothing_else_is(seed, ridge):
    X = conditioned(60, 5, 3.0, seed)
    turned = 7.0 * X @ orthogonal(5, seed) + 2.0
    assert algebra.gulp(X, turned, ridge=ridge) <= 1e-6  # √ of a few eps
    assert algebra.ridge_cca(X, turned, ridge=ridge) == pytest.approx(1.0, rel=1e-12)
    stretched = X @ np.diag([1.0, 2.0, 3.0, 1.0, 1.0])
    assert algebra.gulp(X, stretched, ridge=ridge) > 1e-4
    assert algebra.ridge_cca(X, stretched, ridge=ridge) < 1.0 - 1e-9


def test_without_a_penalty_both_are_canonical_correlations():
    X, Y = related(n=200, p=6, q=4)
    rho = oracles.canonical_correlations(X, Y)
    assert algebra.gulp(X, Y, ridge=1e-13) ** 2 == pytest.approx(6 + 4 - 2 * np.sum(rho**2), rel=1e-9)
    assert algebra.ridge_cca(X, Y, ridge=1e-13) == pytest.approx(algebra.cca(X, Y) * np.sqrt(4 / 6), rel=1e-9)


def test_with_a_large_penalty_gulp_compares_covariances():
    X, Y = related(n=200, p=6, q=4)
    unit = [np.sqrt(200) * oracles.centred(rows) / np.linalg.norm(oracles.centred(rows)) for rows in (X, Y)]
    own = [np.sum((rows.T @ rows / 200) ** 2) for rows in unit]
    limit = np.sqrt(sum(own) - 2 * np.sum((unit[0].T @ unit[1] / 200) ** 2))
    assert 1e6 * algebra.gulp(X, Y, ridge=1e6) == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("name", ["gulp", "ridge_cca"])
def test_defined_for_fewer_rows_than_features_where_cca_is_not(name):
    X, Y = PAIRS["fewer rows than features"]
    assert getattr(algebra, name)(X, Y) > 0.0
    with pytest.raises(UndefinedIndexError):
        algebra.cca(X, Y)


@pytest.mark.parametrize("name", ["gulp", "ridge_cca", "nbs"])
def test_duplicate_and_dead_columns_count_as_what_they_are(name):
    """A dead column changes nothing; a duplicate adds variance, as the oracle has it."""
    X, Y = related(n=80, p=6, q=5)
    dead = np.column_stack([X, np.zeros(80), np.full(80, 0.1)])
    assert getattr(algebra, name)(dead, Y) == pytest.approx(getattr(algebra, name)(X, Y), rel=1e-12)
    doubled = np.column_stack([X, X[:, :3]])
    options = () if name == "nbs" else (0.01,)
    assert getattr(algebra, name)(doubled, Y) == pytest.approx(
        getattr(oracles, name)(doubled, Y, *options), rel=1e-9
    )


def test_the_rank_and_the_condition_stand_beside_them():
    X, Y = related(n=200, p=6, q=4, condition=20.0)
    pair = PairMoments.from_rows(X, Y)
    found = algebra.evaluate("gulp(0.1)", pair)
    assert found.rank == 4
    values = np.linalg.eigvalsh(pair.xx) / np.trace(pair.xx)
    expected = np.sqrt((values[-1] + 0.1) / (values[0] + 0.1))
    assert found.condition == pytest.approx(expected, rel=1e-10)
    assert algebra.evaluate("ridge_cca(0.1)", pair).condition == found.condition


def test_nbs_and_rv_are_other_names():
    X, Y = related()
    pair = PairMoments.from_rows(X, Y)
    analysis = algebra.Analysis(pair)
    assert algebra.evaluate("rv", analysis) == algebra.evaluate("cka_biased", analysis)
    assert algebra.evaluate("nbs", analysis).value == pytest.approx(
        1 - algebra.evaluate("procrustes", analysis).value / 2, rel=1e-15
    )
    assert np.cos(algebra.evaluate("procrustes_angle", analysis).value) == pytest.approx(
        algebra.evaluate("nbs", analysis).value
    )
    assert algebra.INDICES["rv"].measure.equals == "cka_biased"
    assert algebra.INDICES["nbs"].measure.equals == "1 − procrustes/2"
