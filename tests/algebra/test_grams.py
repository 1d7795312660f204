"""One Gram per layer: the same however the features come in blocks, and restricted to samples without them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.algebra.errors import MomentsError, RowsError, UndefinedIndexError
from stitchpipe.algebra.samples import SampleGram
from tests import oracles, oracles_samples
from tests.algebra.cases import EPS, conditioned

FIELDS = ("products", "sums", "projections", "mean", "scatter", "largest_mean")


def assert_same(one, other, size):
    """Equal up to rounding of the squared norms of rows, `size`."""
    assert (one.n, one.width) == (other.n, other.width)
    for field in FIELDS[:-1]:
        np.testing.assert_allclose(
            getattr(one, field), getattr(other, field), rtol=0, atol=50 * EPS * size, err_msg=field
        )
    assert one.largest_mean == pytest.approx(other.largest_mean, rel=1e-14)


def rows_of(n=30, p=11, seed=0, mean=3.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)) * rng.uniform(0.1, 3, p) + mean * rng.standard_normal(p)


def squared_size(X):
    return float((X**2).sum(axis=1).max()) * X.shape[1]


@given(cuts=st.sets(st.integers(1, 10)), order=st.randoms(use_true_random=False), seed=st.integers(0, 999))
def test_the_blocks_of_features_and_their_order_do_not_matter(cuts, order, seed):
    X = rows_of(seed=seed)
    edges = [0, *sorted(cuts), X.shape[1]]
    blocks = [SampleGram.from_block(X[:, a:b]) for a, b in pairwise(edges)]
    order.shuffle(blocks)
    merged = blocks[0]
    for block in blocks[1:]:
        merged = merged.merge(block)
    assert_same(merged, SampleGram.from_block(X), squared_size(X))


@given(kept=st.lists(st.integers(0, 29), min_size=2, unique=True), seed=st.integers(0, 999))
def test_selecting_samples_is_summarising_their_rows(kept, seed):
    X = rows_of(seed=seed)
    halves = SampleGram.from_block(X[:, :4]).merge(SampleGram.from_block(X[:, 4:]))
    selected, direct = halves.select(np.array(kept)), SampleGram.from_block(X[kept])
    assert selected.largest_mean == halves.largest_mean
    for field in FIELDS[:-1]:
        np.testing.assert_allclose(
            getattr(selected, field), getattr(direct, field), rtol=0, atol=50 * EPS * squared_size(X)
        )


def test_products_about_three_origins():
    X = rows_of()
    gram = SampleGram.from_block(X[:, :3]).merge(SampleGram.from_block(X[:, 3:]))
    tolerance = {"rtol": 0, "atol": 50 * EPS * squared_size(X)}
    np.testing.assert_allclose(gram.products, oracles_samples.linear(oracles.centred(X)), **tolerance)
    np.testing.assert_allclose(gram.origin_products(), oracles_samples.linear(X), **tolerance)
    by_feature = X - X.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(gram.feature_comoments(), oracles_samples.linear(by_feature), **tolerance)
    np.testing.assert_allclose(gram.squared_distances(), oracles_samples.distances(X) ** 2, **tolerance)
    assert (np.diag(gram.squared_distances()) == 0).all()


def test_a_large_mean_costs_no_digits():
    """Forming XXᵀ and then centring it loses mean² digits; centring first loses one mean."""
    X, mean = conditioned(40, 6, 3.0, 0, mean=0.0), 1e6
    gram = SampleGram.from_block(X + mean)
    exact = oracles_samples.linear(oracles.centred(X))
    error = np.abs(gram.products - exact).max() / np.abs(exact).max()
    assert error < 10 * EPS * mean
    H = np.eye(40) - 1 / 40
    naive = H @ ((X + mean) @ (X + mean).T) @ H
    assert np.abs(naive - exact).max() / np.abs(exact).max() > 1000 * error


def test_torch_tensors_give_the_same_gram():
    X, kept = rows_of(), np.array([3, 1, 7, 20])
    ours, theirs = (
        SampleGram.from_block(rows[:, :4]).merge(SampleGram.from_block(rows[:, 4:])).select(kept)
        for rows in (X, torch.tensor(X))
    )
    assert isinstance(theirs.products, torch.Tensor)
    assert_same(ours, theirs, squared_size(X))


def test_grams_of_other_samples_are_refused():
    with pytest.raises(RowsError, match="30 samples, found 29"):
        SampleGram.from_block(rows_of()).merge(SampleGram.from_block(rows_of(n=29)))


def test_products_that_overflow_are_refused():
    with pytest.raises(MomentsError, match="overflow"), np.errstate(over="ignore", invalid="ignore"):
        SampleGram.from_block(rows_of() * 1e160)


@pytest.mark.parametrize("fill", [0.0, 0.1, -1e6])
def test_constant_features_in_any_number_of_blocks_are_constant(fill):
    X = np.full((20, 7), fill)
    for gram in (
        SampleGram.from_block(X),
        SampleGram.from_block(X[:, :3]).merge(SampleGram.from_block(X[:, 3:])),
    ):
        with pytest.raises(UndefinedIndexError) as caught:
            gram.variation("cka")
        assert caught.value.status == "constant"
    with pytest.raises(UndefinedIndexError) as caught:
        SampleGram.from_block(rows_of(n=1)).variation("cka")
    assert caught.value.status == "too_few_rows"
