"""The Fréchet distance against its formula with matrix square roots, and where it is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from stitchpipe.ood.scores.frechet import Gaussian, frechet_distance

RNG = np.random.default_rng(0)


def rows(n, d, seed=0, *, mean=0.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + mean


def by_matrix_roots(a, b):
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(one @ two))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root))


def distance(a, b):
    return frechet_distance(Gaussian.from_rows(a), Gaussian.from_rows(b))


@pytest.mark.parametrize(("d", "n_a", "n_b"), [(1, 9, 30), (5, 40, 60), (24, 200, 120)])
def test_it_is_the_formula_with_matrix_square_roots(d, n_a, n_b):
    a, b = rows(n_a, d, 1), rows(n_b, d, 2, mean=0.7)
    wanted = (
        by_matrix_roots(a, b) if d > 1 else (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    )
    assert distance(a, b) == pytest.approx(wanted, rel=1e-10)
    assert distance(b, a) == pytest.approx(distance(a, b), rel=1e-12)


def test_covariance_is_that_of_numpy():
    for n in (7, 50):  # fewer rows than columns, and more
        values = rows(n, 12, 3)
        fitted = Gaussian.from_rows(values)
        np.testing.assert_allclose(fitted.factor.T @ fitted.factor, np.cov(values, rowvar=False), atol=1e-12)
        assert fitted.trace == pytest.approx(np.trace(np.cov(values, rowvar=False)), rel=1e-12)
        assert len(fitted.factor) == min(n, 12)


def test_a_sample_has_no_distance_from_itself_even_when_its_covariance_is_singular():
    for n, d in ((100, 8), (6, 30), (40, 30)):
        values = rows(n, d, 4, mean=5.0)
        values[:, : d // 2] = values[:, d // 2 : d // 2 + d // 2]
        assert distance(values, values) <= 50 * np.finfo(float).eps * Gaussian.from_rows(values).trace
        assert distance(values, values[::-1]) <= 50 * np.finfo(float).eps * Gaussian.from_rows(values).trace


def test_a_shift_costs_its_squared_length():
    values, shift = rows(50, 6, 5), np.arange(6.0)
    assert distance(values, values + shift) == pytest.approx(55.0, rel=1e-10)


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_shrinkage_costs_its_share_of_the_spread(factor):
    values = rows(50, 6, 6)
    shrunk = values.mean(0) + factor * (values - values.mean(0))
    wanted = (1 - factor) ** 2 * np.trace(np.cov(values, rowvar=False))
    assert distance(values, shrunk) == pytest.approx(wanted, rel=1e-10)


def test_commuting_covariances_differ_by_their_standard_deviations():
    base = RNG.standard_normal((80, 4))
    base = np.linalg.qr(base - base.mean(0))[0] * np.sqrt(79)  # covariance = identity
    one, two = np.array([1.0, 2.0, 0.0, 5.0]), np.array([3.0, 0.5, 1.0, 0.0])
    assert distance(base * one, base * two) == pytest.approx(((one - two) ** 2).sum(), rel=1e-10)
