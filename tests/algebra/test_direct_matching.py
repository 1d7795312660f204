"""Direct matching: self maps, conditioning, rank, and residuals from moments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.algebra import PairMoments
from tests.algebra.cases import EPS, conditioned, related


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
def test_a_layer_with_itself_gets_the_identity(condition):
    X = conditioned(300, 16, condition, 0)
    fitted = algebra.direct_matching(X, X)
    assert fitted.rank == 16
    np.testing.assert_allclose(fitted.W, np.eye(16), rtol=0, atol=100 * EPS * condition**2)
    assert fitted.struct_error(X, X) <= 1e-12
    assert fitted.struct_error_from_moments(PairMoments.from_rows(X, X)) <= 1e-12
    assert fitted.r2(X, X) == pytest.approx(1.0, abs=1e-12)


def test_a_layer_with_dead_and_duplicate_channels_gets_the_projector_on_its_row_space():
    base = conditioned(300, 6, 10.0, 1)
    X = np.column_stack([base, np.zeros(300), np.full(300, 0.1), base[:, :2], base[:, 0] - base[:, 1]])
    fitted = algebra.direct_matching(X, X)
    _, s, Vt = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    assert fitted.rank == 6
    np.testing.assert_allclose(fitted.W, Vt[:6].T @ Vt[:6], rtol=0, atol=1e-12)
    np.testing.assert_allclose(fitted.W @ fitted.W, fitted.W, rtol=0, atol=1e-12)
    assert fitted.condition == pytest.approx(s[0] / s[5], rel=1e-10)
    assert fitted.struct_error(X, X) <= 1e-12


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
def test_recovers_a_known_map_with_an_error_of_eps_cond_squared(condition):
    n, p, q = 2000, 20, 10
    X = conditioned(n, p, condition, 2)
    rng = np.random.default_rng(3)
    W, b = rng.standard_normal((q, p)), rng.standard_normal(q)
    fitted = algebra.direct_matching(X, X @ W.T + b)
    assert fitted.rank == p
    assert fitted.condition == pytest.approx(condition, rel=1e-3)
    assert np.linalg.norm(fitted.W - W) / np.linalg.norm(W) <= 10 * EPS * condition**2


def test_the_residual_is_orthogonal_to_the_source():
    X, Y = related()
    residual = Y - algebra.direct_matching(X, Y).predict(X)
    scale = np.linalg.norm(X) * np.linalg.norm(residual)
    assert np.abs(residual.sum(axis=0)).max() <= 1e-13 * scale
    assert np.abs(residual.T @ X).max() <= 1e-13 * scale


@pytest.mark.parametrize(("p", "q"), [(60, 4), (60, 80), (4, 80)])
def test_fewer_rows_than_features_gives_the_minimum_norm_map(p, q):
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((25, p)) + 1.0, rng.standard_normal((25, q))
    fitted = algebra.direct_matching(X, Y)
    least = np.linalg.lstsq(X - X.mean(axis=0), Y - Y.mean(axis=0), rcond=1e-9)[0].T
    assert fitted.rank == min(p, 24)
    np.testing.assert_allclose(fitted.W, least, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fitted.b, Y.mean(axis=0) - least @ X.mean(axis=0), rtol=0, atol=1e-12)


def test_a_constant_source_predicts_the_mean():
    Y = np.random.default_rng(5).standard_normal((30, 3))
    fitted = algebra.direct_matching(np.full((30, 4), 0.3), Y)
    assert (fitted.rank, fitted.condition) == (0, 1.0)
    assert not fitted.W.any()
    np.testing.assert_allclose(fitted.b, Y.mean(axis=0), rtol=1e-14)
    assert fitted.r2(np.full((30, 4), 0.3), Y) == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(("dtype", "eps"), [(np.float32, 2.0**-23), (np.float16, 2.0**-10)])
def test_directions_below_the_storage_precision_are_not_used(dtype, eps):
    """A column that is the sum of two others up to rounding at storage must not enter with a huge weight."""
    base = conditioned(500, 4, 3.0, 6, mean=5.0)
    X = np.column_stack([base, base[:, 0] + base[:, 1]]).astype(dtype)
    Y = np.random.default_rng(7).standard_normal((500, 3))
    stored, exact = algebra.direct_matching(X, Y), algebra.direct_matching(X.astype(np.float64), Y)
    assert (stored.rank, exact.rank) == (4, 5)
    assert np.abs(stored.W).max() < 1.0 < np.abs(exact.W).max()
    told = algebra.direct_matching(X.astype(np.float64), Y, storage_eps=eps)
    np.testing.assert_allclose(told.W, stored.W, rtol=0, atol=1e-14)


def test_the_self_map_from_float32_rows():
    X = conditioned(400, 32, 100.0, 8).astype(np.float32)
    assert algebra.direct_matching(X, X).struct_error(X, X) <= 1e-12


@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    noise=st.sampled_from([0.0, 1e-9, 1e-3, 1.0]),
    condition=st.sampled_from([1.0, 1e3, 1e6]),
    mean=st.sampled_from([0.0, 100.0]),
)
def test_a_held_out_residual_is_never_negative_and_agrees_with_the_rows(seed, scale, noise, condition, mean):
    rng = np.random.default_rng(seed)
    X = conditioned(80, 6, condition, seed, mean=mean)
    Y = scale * (X @ rng.standard_normal((6, 4)) + noise * rng.standard_normal((80, 4)))
    fitted = algebra.direct_matching(X[:40], Y[:40])
    pair = PairMoments.from_rows(X[40:], Y[40:])
    found = fitted.residual_from_moments(pair)
    by_rows = float(np.sum((fitted.predict(X[40:]) - Y[40:]) ** 2))
    assert found.sum_of_squares >= 0.0
    assert fitted.struct_error_from_moments(pair) >= 0.0
    assert fitted.r2_from_moments(pair) <= 1.0
    # predictions from rows round at eps·(‖W‖‖x‖ + |y|); the moments' floor stands beside their residual
    entry = EPS * (np.abs(fitted.W).max() * np.abs(X).max() * 6 + np.abs(Y).max())
    slack = 50 * found.floor + 1000 * Y.size * entry**2 + 1e-6 * by_rows
    assert abs(found.sum_of_squares - by_rows) <= slack


def test_the_plain_trace_expression_does_turn_negative_here():
    """Why eigenvalues are summed where traces cancel: the same figures by traces are below zero for some seed."""
    negative = 0
    for seed in range(20):
        X = conditioned(80, 6, 1e3, seed)
        fitted = algebra.direct_matching(X, X)
        pair = PairMoments.from_rows(X, X)
        plain = (
            np.trace(fitted.W @ pair.xx @ fitted.W.T) - 2 * np.trace(fitted.W @ pair.xy) + np.trace(pair.yy)
        )
        negative += plain < 0
        assert fitted.residual_from_moments(pair).sum_of_squares >= 0.0
    assert negative > 0


@pytest.mark.parametrize("ratio", [1e-8, 1e8])
def test_a_residual_keeps_its_digits_beside_a_source_of_another_scale(ratio):
    X, Y = related(n=100, noise=0.1)
    fitted = algebra.direct_matching(X[:50] / ratio, Y[:50])
    test_x, test_y = X[50:] / ratio, Y[50:]
    found = fitted.struct_error_from_moments(PairMoments.from_rows(test_x, test_y))
    assert found == pytest.approx(fitted.struct_error(test_x, test_y), rel=1e-10)


def test_r2_weighs_outputs_by_their_variance_and_takes_the_test_mean():
    X, Y = related(n=100)
    Y = Y * np.array([100.0] + [1e-3] * 8)
    fitted = algebra.direct_matching(X[:50], Y[:50])
    test_x, test_y = X[50:], Y[50:]
    residual = fitted.predict(test_x) - test_y
    first = 1 - np.sum(residual[:, 0] ** 2) / np.sum((test_y[:, 0] - test_y[:, 0].mean()) ** 2)
    assert fitted.r2(test_x, test_y) == pytest.approx(first, rel=1e-6)
    about_zero_shift = fitted.r2(test_x, test_y + 7.0)
    assert about_zero_shift < fitted.r2(test_x, test_y)


def test_a_map_refuses_other_widths():
    X, Y = related(p=5, q=4)
    fitted = algebra.direct_matching(X, Y)
    assert (fitted.p, fitted.q) == (5, 4)
    for refused in (
        lambda: fitted.predict(X[:, :3]),
        lambda: fitted.r2(X, Y[:, :2]),
        lambda: fitted.struct_error(Y, Y),
        lambda: fitted.r2_from_moments(PairMoments.from_rows(Y, X)),
    ):
        with pytest.raises(algebra.MomentsError, match="width 5 and a target of width 4"):
            refused()
