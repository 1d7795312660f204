"""The triangular factor: any blocks, any order, and an error of eps·cond where moments have eps·cond²."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.algebra import JointFactor, Moments, PairMoments
from tests import oracles
from tests.algebra.cases import EPS, conditioned, related

CUTS = st.lists(st.integers(1, 99), max_size=6, unique=True).map(sorted)


def blocks(X, Y, cuts):
    return [(X[a:b], Y[a:b]) for a, b in pairwise([0, *cuts, len(X)])]


@given(cuts=CUTS, seed=st.integers(0, 1000), mean=st.sampled_from([0.0, 3.0, 1e4]))
def test_chunking_and_merge_order_do_not_matter(cuts, seed, mean):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((100, 5)) + mean, rng.standard_normal((100, 4)) - mean
    factors = [JointFactor.from_block(*block) for block in blocks(X, Y, cuts)]
    while len(factors) > 1:
        first, second = factors.pop(rng.integers(len(factors))), factors.pop(rng.integers(len(factors)))
        factors.append(first.merge(second))
    moments = Moments.from_block(np.column_stack([X, Y]))
    (factor,) = factors
    assert (factor.n, factor.p) == (100, 5)
    np.testing.assert_allclose(factor.mean, moments.mean, rtol=0, atol=1e-13 * max(1.0, mean))
    np.testing.assert_allclose(factor.factor.T @ factor.factor, moments.comoment, rtol=0, atol=1e-9)
    np.testing.assert_allclose(factor.factor, np.triu(factor.factor))
    in_order = JointFactor.from_blocks(blocks(X, Y, cuts))
    np.testing.assert_allclose(in_order.fit().W, factor.fit().W, rtol=0, atol=1e-11 * max(1.0, mean))


@pytest.mark.parametrize(("p", "q"), [(12, 9), (5, 14)])
def test_the_map_is_the_oracles_and_that_of_the_moments(p, q):
    X, Y = related(n=120, p=p, q=q)
    W, b = oracles.direct_matching(X, Y)
    for fitted in (
        algebra.direct_matching(X, Y, solver="tsqr"),
        JointFactor.from_blocks([(X[:50], Y[:50]), (X[50:], Y[50:])]).fit(),
    ):
        np.testing.assert_allclose(fitted.W, W, rtol=0, atol=1e-11 * np.abs(W).max())
        np.testing.assert_allclose(fitted.b, b, rtol=0, atol=1e-11 * np.abs(b).max())
        by_moments = algebra.direct_matching(X, Y)
        assert fitted.rank == by_moments.rank
        assert fitted.condition == pytest.approx(by_moments.condition, rel=1e-10)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8])
def test_recovers_a_known_map_with_an_error_of_eps_cond(condition):
    n, p, q = 2000, 20, 10
    X = conditioned(n, p, condition, 2)
    rng = np.random.default_rng(3)
    W, b = rng.standard_normal((q, p)), rng.standard_normal(q)
    blockwise = JointFactor.from_blocks((X[i : i + 300], X[i : i + 300] @ W.T + b) for i in range(0, n, 300))
    fitted = blockwise.fit()
    assert fitted.rank == p
    assert np.linalg.norm(fitted.W - W) / np.linalg.norm(W) <= 20 * EPS * condition
    if condition >= 1e6:
        by_moments = algebra.direct_matching(X, X @ W.T + b)
        assert np.linalg.norm(by_moments.W - W) > 100 * np.linalg.norm(fitted.W - W)


@pytest.mark.parametrize("condition", [1.0, 1e5])
def test_the_residual_of_any_map_is_that_of_the_rows(condition):
    X, _ = related(n=200, p=6, q=4)
    X = conditioned(200, 6, condition, 5)
    Y = X[:, :4] + 1e-6 * np.random.default_rng(6).standard_normal((200, 4))
    fitted = algebra.direct_matching(X[:100], Y[:100])
    factor = JointFactor.from_blocks([(X[100:150], Y[100:150]), (X[150:], Y[150:])])
    by_rows = float(np.sum((fitted.predict(X[100:]) - Y[100:]) ** 2))
    assert factor.residual(fitted) == pytest.approx(by_rows, rel=1e-7)
    assert factor.residual(JointFactor.from_block(X[100:], Y[100:]).fit()) <= factor.residual(fitted)


def test_dead_duplicate_and_constant_columns():
    base = conditioned(300, 6, 10.0, 1)
    X = np.column_stack([base, np.zeros(300), np.full(300, 0.1), base[:, :2], base[:, 0] - base[:, 1]])
    fitted, expected = algebra.direct_matching(X, X, solver="tsqr"), algebra.direct_matching(X, X)
    assert fitted.rank == expected.rank == 6
    np.testing.assert_allclose(fitted.W, expected.W, rtol=0, atol=1e-12)
    constant = algebra.direct_matching(np.full((30, 4), 0.3), base[:30], solver="tsqr")
    assert (constant.rank, constant.condition) == (0, 1.0)
    np.testing.assert_allclose(constant.b, base[:30].mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize(("p", "q"), [(60, 4), (4, 80)])
def test_fewer_rows_than_features_gives_the_minimum_norm_map(p, q):
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((25, p)) + 1.0, rng.standard_normal((25, q))
    fitted = JointFactor.from_blocks(blocks(X, Y, [7, 11])).fit()
    expected = algebra.direct_matching(X, Y)
    assert fitted.rank == expected.rank
    np.testing.assert_allclose(fitted.W, expected.W, rtol=0, atol=1e-12)


def test_tensors_too():
    X, Y = related(n=90, p=7, q=5)
    found = algebra.direct_matching(torch.tensor(X), torch.tensor(Y), solver="tsqr")
    np.testing.assert_allclose(
        found.W.numpy(), algebra.direct_matching(X, Y, solver="tsqr").W, rtol=0, atol=1e-12
    )


def test_what_it_is_not_for_is_refused():
    X, Y = related(n=40, p=4, q=3)
    with pytest.raises(algebra.RowsError, match="solver='moments'"):
        algebra.direct_matching(X.astype(np.float32), Y, solver="tsqr")
    with pytest.raises(algebra.RowsError, match="'ridge'"):
        algebra.direct_matching(X, Y, solver="tsqr", family="ridge")
    with pytest.raises(algebra.RowsError, match="at least one pair"):
        JointFactor.from_blocks([])
    with pytest.raises(algebra.MomentsError, match="widths 4 and 3"):
        JointFactor.from_block(X, Y).merge(JointFactor.from_block(Y, X))


def test_held_out_scores_agree_with_those_of_moments():
    X, Y = related(n=200, p=6, q=4)
    fitted = algebra.direct_matching(X[:100], Y[:100], solver="tsqr")
    pair, factor = PairMoments.from_rows(X[100:], Y[100:]), JointFactor.from_block(X[100:], Y[100:])
    assert factor.residual(fitted) == pytest.approx(
        fitted.residual_from_moments(pair).sum_of_squares, rel=1e-12
    )
