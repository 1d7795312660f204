"""Moments do not depend on chunking or merge order, and hold their digits where one pass loses them."""

from dataclasses import replace
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.algebra import CrossMoments, Moments, MomentsError, PairMoments, augment, pair_from_augmented
from tests.algebra.cases import ALL, EPS, conditioned, related

CUTS = st.lists(st.integers(1, 99), max_size=6, unique=True).map(sorted)


def blocks(rows, cuts):
    return [rows[a:b] for a, b in pairwise([0, *cuts, len(rows)])]


def merge_tree(parts, rng):
    """Merge in a random order: any two that are left, until one is."""
    parts = list(parts)
    while len(parts) > 1:
        first = parts.pop(rng.integers(len(parts)))
        second = parts.pop(rng.integers(len(parts)))
        parts.append(first.merge(second))
    return parts[0]


@settings(max_examples=25, deadline=None)
@given(cuts=CUTS, seed=st.integers(0, 1000), mean=st.sampled_from([0.0, 3.0, 1e4]))
def test_chunking_and_merge_order_do_not_matter(cuts, seed, mean):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((100, 5)) + mean, rng.standard_normal((100, 4)) - mean
    shift_x, shift_y = X[: cuts[0] if cuts else 100].mean(axis=0), Y[:1].mean(axis=0)
    ax = [augment(block, shift_x) for block in blocks(X, cuts)]
    ay = [augment(block, shift_y) for block in blocks(Y, cuts)]
    pair = pair_from_augmented(
        merge_tree(map(Moments.from_block, ax), rng),
        merge_tree(map(Moments.from_block, ay), rng),
        merge_tree(map(CrossMoments.from_block, ax, ay), rng),
        shift_x=shift_x,
        shift_y=shift_y,
    )
    whole = PairMoments.from_rows(X, Y)
    assert pair.n == whole.n
    for name in ("mean_x", "mean_y", "xx", "xy", "yy"):
        one, other = getattr(pair, name), getattr(whole, name)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * max(1.0, np.abs(other).max()))
    for name in ("xx", "xy", "yy"):
        one, other = getattr(pair.norm_products, name), getattr(whole.norm_products, name)
        assert one == pytest.approx(other, rel=1e-10)
    for name in ALL:
        one = algebra.evaluate(name, pair, train=pair).value
        assert one == pytest.approx(algebra.evaluate(name, whole, train=whole).value, rel=1e-10, abs=1e-10)


def test_norm_products_are_the_definition():
    X, Y = related(n=50)
    k, m = (((rows - rows.mean(axis=0)) ** 2).sum(axis=1) for rows in (X, Y))
    norms = PairMoments.from_rows(X, Y).norm_products
    assert (norms.xx, norms.xy, norms.yy) == pytest.approx((k @ k, k @ m, m @ m), rel=1e-13)
    back = PairMoments.from_rows(X, Y).swap().norm_products
    assert (back.xx, back.xy, back.yy) == (norms.yy, norms.xy, norms.xx)


def test_layers_side_by_side_are_picked_apart():
    X, Y = related(n=60, p=5, q=3)
    joint = Moments.from_block(np.column_stack([X, Y]))
    own, cross = joint.pick(slice(5, 8)), joint.between(slice(0, 5), slice(5, 8))
    np.testing.assert_allclose(own.comoment, Moments.from_block(Y).comoment, rtol=1e-12)
    np.testing.assert_allclose(cross.comoment, CrossMoments.from_block(X, Y).comoment, rtol=1e-10)
    np.testing.assert_allclose(cross.mean_y, Y.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("mean", [1e3, 1e6])
def test_a_large_mean_costs_no_digits(mean):
    """Values on a grid that float64 holds beside this mean, so that shifting them rounds nothing."""
    rng = np.random.default_rng(0)
    X = rng.integers(-512, 512, (4000, 6)) / 256.0
    parts = [Moments.from_block(block + mean) for block in np.split(X, 8)]
    comoment = reduce(Moments.merge, parts).comoment
    truth = (X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
    # a block's mean is rounded by eps·mean, and enters through n·σ·eps·mean; σ is about 1
    assert np.abs(comoment - truth).max() <= 10 * EPS * (1 + mean) * np.abs(truth).max()
    naive = (X + mean).T @ (X + mean) - 4000 * np.outer((X + mean).mean(axis=0), (X + mean).mean(axis=0))
    assert np.abs(naive - truth).max() > 100 * np.abs(comoment - truth).max()


def test_constant_columns_have_exactly_no_variance():
    X = np.full((1013, 3), 0.1)
    moments = reduce(Moments.merge, [Moments.from_block(block) for block in np.array_split(X, 7)])
    assert not moments.comoment.any()
    np.testing.assert_array_equal(moments.mean, X[0])


def test_cka_of_float32_rows_with_a_large_mean_loses_only_the_rounding_of_storage():
    """Stored in float32 at mean 30σ, accumulated in float64: only the rounding of storage is left."""
    X = conditioned(500, 8, 3.0, 1, mean=30.0)
    Y = conditioned(500, 6, 3.0, 2, mean=30.0) + X[:, :6]
    assert algebra.cka(X.astype(np.float32), Y.astype(np.float32)) == pytest.approx(
        algebra.cka(X, Y), rel=1e-5
    )


def test_mismatched_moments_are_refused():
    X, Y = related(n=40, p=4, q=3)
    with pytest.raises(MomentsError, match="widths"):
        Moments.from_block(X).merge(Moments.from_block(Y))
    with pytest.raises(MomentsError, match="widths"):
        CrossMoments.from_block(X, Y).merge(CrossMoments.from_block(Y, X))
    own_x, own_y = Moments.from_block(augment(X, X[0])), Moments.from_block(augment(Y, Y[0]))
    fewer = CrossMoments.from_block(augment(X[:9], X[0]), augment(Y[:9], Y[0]))
    with pytest.raises(MomentsError, match="same rows"):
        pair_from_augmented(own_x, own_y, fewer, shift_x=X[0], shift_y=Y[0])
    with pytest.raises(MomentsError, match="shapes"):
        PairMoments(own_x, own_y, own_x.comoment)
    with pytest.raises(MomentsError, match="n = 40 and 9"):
        PairMoments(own_x, Moments.from_block(X[:9]), own_x.comoment)
    pair = PairMoments.from_rows(X, Y)
    with pytest.raises(MomentsError, match="none"):
        algebra.cka_from_moments(replace(pair, norm_products=None))
    with pytest.raises(MomentsError, match="Own and cross moments"):
        algebra.procrustes_from_moments(replace(pair, xy=100 * pair.xy))


def test_overflow_is_refused_not_turned_into_nan():
    with pytest.raises(MomentsError, match="overflow"), np.errstate(over="ignore"):
        Moments.from_block(np.array([[1e200], [-1e200]]))
    with pytest.raises(MomentsError, match="norms"), np.errstate(over="ignore"):
        PairMoments.from_rows(np.array([[1e100], [-1e100]]), np.array([[1.0], [2.0]]))
