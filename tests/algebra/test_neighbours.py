"""Mutual nearest neighbours, ties included."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.indices.mutual_knn import mutual_knn
from stitchpipe.algebra.samples import NeighbourSets, SampleGram, mutual_neighbours
from tests import oracles_samples
from tests.algebra.cases import related

X, Y = related(n=50, p=7, q=5, seed=4)


def neighbours(rows, k=10):
    return NeighbourSets.of(SampleGram.from_block(rows), k=k)


def matrix(sets):
    dense = np.zeros((sets.n, sets.n))
    for i in range(sets.n):
        for j, weight in zip(sets.samples[i], sets.weights[i], strict=True):
            dense[i, j] += weight
    return dense


@pytest.mark.parametrize("k", [1, 3, 10, 48])
def test_against_the_definition_and_scikit_learn(k):
    assert mutual_knn(X, Y, k=k) == pytest.approx(oracles_samples.mutual_knn(X, Y, k), rel=1e-13)
    found = []
    for rows in (X, Y):
        search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)
        found.append([set(one) for one in search.kneighbors(return_distance=False)])
    shared = np.mean([len(a & b) / k for a, b in zip(*found, strict=True)])
    assert mutual_knn(X, Y, k=k) == pytest.approx(shared, rel=1e-13)
    assert [set(row) for row in neighbours(X, k).samples] == found[0]


def test_ten_neighbours_by_default_and_a_layer_shares_all_with_itself():
    assert neighbours(X).k == 10
    assert mutual_knn(X, X) == 1.0


def test_independent_layers_share_what_chance_gives():
    rng = np.random.default_rng(0)
    values = [mutual_knn(rng.standard_normal((60, 20)), rng.standard_normal((60, 20))) for _ in range(40)]
    assert np.mean(values) == pytest.approx(10 / 59, abs=4 * np.std(values) / np.sqrt(40))


@given(
    n=st.integers(5, 14),
    p=st.integers(1, 3),
    levels=st.integers(1, 3),
    k=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_ties_count_by_the_share_of_ways_to_break_them(n, p, levels, k, seed):
    """Few levels of integer coordinates make ties frequent."""
    rng = np.random.default_rng(seed)
    A, B = (rng.integers(1, 1 + levels, (n, p)) * rng.choice([-1, 1], (n, p)) for _ in range(2))
    for rows in (A, B):
        expected = oracles_samples.membership(rows.astype(float), k)
        try:
            sets = neighbours(rows, k)
        except UndefinedIndexError:
            assume(False)  # the refusals have tests of their own
        np.testing.assert_allclose(matrix(sets), expected, rtol=0, atol=1e-13)
        np.testing.assert_allclose(sets.weights.sum(axis=1), k, rtol=1e-13)
    assert mutual_knn(A, B, k=k) == pytest.approx(
        oracles_samples.mutual_knn(A.astype(float), B.astype(float), k), abs=1e-13
    )


def test_nothing_depends_on_the_order_of_tied_samples():
    """Four copies of each of nine directions; breaking ties by position would share the first copies."""
    rng = np.random.default_rng(1)
    A, B = (np.repeat(rng.standard_normal((9, 4)), 4, axis=0) for _ in range(2))
    value = mutual_knn(A, B, k=5)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(36)
        assert mutual_knn(A[order], B[order], k=5) == pytest.approx(value, rel=1e-13)
    # Three copies are sure neighbours; two of the next four are, so self-overlap is (3 + 4·(1/2)²)/5.
    assert mutual_knn(A, A, k=5) == pytest.approx((3 + 1) / 5, rel=1e-13)


def test_tables_are_their_pairs_whatever_fits_side_by_side(monkeypatch):
    layers = [X, Y, X[:, :3] ** 2]
    sets = [neighbours(rows) for rows in layers]
    for most in (2**29, 8 * 50 * 50):
        monkeypatch.setattr("stitchpipe.algebra.samples.sample_matrix._BESIDE_BYTES", most)
        table = mutual_neighbours(sets, sets)
        for i in range(3):
            for j in range(3):
                assert table[i, j] == pytest.approx(mutual_knn(layers[i], layers[j]), rel=1e-13)


UNDEFINED = {
    "too_few_rows": X[:11],
    "constant": np.full((30, 3), 0.1),
    "degenerate": np.abs(X[:, :1]) + 1.0,
}


@pytest.mark.parametrize("status", UNDEFINED)
def test_what_has_no_value_says_why(status):
    with pytest.raises(UndefinedIndexError) as caught:
        neighbours(UNDEFINED[status])
    assert caught.value.status == status
    assert "mutual_knn" in str(caught.value)


def test_a_sample_at_the_origin_has_no_neighbours():
    with pytest.raises(UndefinedIndexError, match="1 such samples") as caught:
        mutual_knn(np.vstack([X, np.zeros(7)]), np.vstack([Y, np.ones(5)]))
    assert caught.value.status == "degenerate"


def test_other_samples_or_another_k_are_refused():
    for one, other in ((neighbours(X), neighbours(X, 5)), (neighbours(X), neighbours(X[:40]))):
        with pytest.raises(RowsError, match="mutual_knn"):
            mutual_neighbours([one], [other])
    with pytest.raises(RowsError, match="k = 0"):
        mutual_knn(X, Y, k=0)
    with pytest.raises(RowsError, match="no layers"):
        mutual_neighbours([], [])
