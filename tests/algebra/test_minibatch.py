"""Minibatch CKA: the definition, its limits, and many layers at once."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.algebra.errors import MomentsError, RowsError, UndefinedIndexError
from stitchpipe.algebra.indices.cka_minibatch import MinibatchHSIC, cka_minibatch
from tests import oracles, oracles_samples
from tests.algebra.cases import related

X, Y = related(n=60, p=7, q=5, seed=4)


def near_equal(n, count):
    return np.split(np.arange(n), [n * part // count for part in range(1, count)])


@pytest.mark.parametrize(("batch_rows", "count"), [(60, 1), (20, 3), (16, 4), (59, 2), (4, 15), (7, 9)])
def test_against_the_definition(batch_rows, count):
    for hsic in (oracles.hsic_unbiased, oracles.hsic_song):
        expected = oracles_samples.minibatch_cka(X, Y, near_equal(60, count), hsic)
        assert cka_minibatch(X, Y, batch_rows=batch_rows) == pytest.approx(expected, rel=1e-11)


def test_one_batch_is_debiased_cka():
    assert cka_minibatch(X, Y) == pytest.approx(algebra.cka(X, Y), rel=1e-12)


def test_a_remainder_too_small_for_a_batch_joins_the_others():
    """Nine samples in batches of 4 would leave one over: they become 4 and 5."""
    expected = oracles_samples.minibatch_cka(
        X[:9], Y[:9], [np.arange(4), np.arange(4, 9)], oracles.hsic_unbiased
    )
    assert cka_minibatch(X[:9], Y[:9], batch_rows=4) == pytest.approx(expected, rel=1e-11)


@settings(max_examples=20, deadline=None)
@given(cuts=st.sets(st.sampled_from(range(8, 53, 4)), min_size=1), order=st.randoms(use_true_random=False))
def test_the_order_of_batches_does_not_matter(cuts, order):
    edges = [0, *sorted(cuts), 60]
    parts = [MinibatchHSIC.from_batch([X[a:b], Y[a:b]]) for a, b in pairwise(edges)]
    shuffled = list(parts)
    order.shuffle(shuffled)
    sums = []
    for these in (parts, shuffled):
        total = these[0]
        for part in these[1:]:
            total = total.merge(part)
        sums.append(total)
    assert sums[0].n == sums[1].n == 60
    assert sums[0].batches == len(parts)
    np.testing.assert_allclose(sums[0].hsic, sums[1].hsic, rtol=1e-12)
    assert sums[0].cka(0, 1) == pytest.approx(sums[1].cka(0, 1), rel=1e-12)


def test_many_layers_in_one_product_are_the_pairs():
    layers = [X, Y, np.tanh(X @ Y[:7, :]), X[:, :2] ** 2]
    halves = [
        MinibatchHSIC.from_batch([rows[part] for rows in layers]) for part in (slice(30), slice(30, 60))
    ]
    total = halves[0].merge(halves[1])
    for i in range(4):
        for j in range(4):
            pair = cka_minibatch(layers[i], layers[j], batch_rows=30)
            assert total.cka(i, j) == pytest.approx(pair, rel=1e-11)
        assert total.cka(i, i) == pytest.approx(1.0, rel=1e-14)


def test_batches_change_the_noise_and_not_the_limit():
    """400 batches of 20: minibatch CKA is near that of all samples, the mean of biased CKA over batches is not."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((8_000, 4))
    A, B = Z @ rng.standard_normal((4, 6)) + rng.standard_normal((8_000, 6)), rng.standard_normal((8_000, 5))
    B[:, :2] += Z[:, :2]
    limit = algebra.cka(A, B)
    assert cka_minibatch(A, B, batch_rows=20) == pytest.approx(limit, abs=0.02)
    biased = [algebra.cka(A[i : i + 20], B[i : i + 20], debiased=False) for i in range(0, 8_000, 20)]
    assert np.mean(biased) > limit + 0.1


def test_torch_tensors_give_the_same_number():
    tensors = torch.tensor(X), torch.tensor(Y)
    assert cka_minibatch(*tensors, batch_rows=16) == pytest.approx(
        cka_minibatch(X, Y, batch_rows=16), rel=1e-12
    )


def test_what_has_no_value_says_why():
    rows = {
        "constant": np.full((60, 3), 0.1),
        "degenerate": np.tile(np.eye(12), (5, 1)),
    }
    for status, layer in rows.items():
        for pair, side in (((layer, Y), "source"), ((Y, layer), "target")):
            with pytest.raises(UndefinedIndexError) as caught:
                cka_minibatch(*pair, batch_rows=12)
            assert caught.value.status == status
            assert side in caught.value.reason
    with pytest.raises(UndefinedIndexError) as caught:
        cka_minibatch(X[:3], Y[:3])
    assert caught.value.status == "too_few_rows"


def test_a_layer_constant_in_most_batches_is_defined():
    layer = np.zeros((60, 3))
    layer[:12] = Y[:12, :3]
    assert -1 <= cka_minibatch(X, layer, batch_rows=12) <= 1


def test_unusable_batches_are_refused():
    with pytest.raises(RowsError, match="batch_rows = 3"):
        cka_minibatch(X, Y, batch_rows=3)
    with pytest.raises(RowsError, match="row counts"):
        MinibatchHSIC.from_batch([X, Y[:50]])
    with pytest.raises(RowsError, match="row counts"):
        MinibatchHSIC.from_batch([])
    with pytest.raises(RowsError, match="layer 1"):
        MinibatchHSIC.from_batch([X, Y[:, 0]])
    with pytest.raises(RowsError, match="2 layers"):
        MinibatchHSIC.from_batch([X, Y]).merge(MinibatchHSIC.from_batch([X, Y, X]))
    with pytest.raises(MomentsError, match="overflow"), np.errstate(over="ignore", invalid="ignore"):
        MinibatchHSIC.from_batch([X * 1e100, Y])
