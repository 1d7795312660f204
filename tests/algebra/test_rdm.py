"""Representational similarity analysis: correlation RDMs compared by Spearman's ρ."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.indices.rsa import mid_ranks, ranked_dissimilarities, rsa
from stitchpipe.algebra.samples import SampleGram
from tests import oracles_samples
from tests.algebra.cases import related

X, Y = related(n=30, p=7, q=5, seed=4)


def test_against_the_definition_and_scipy():
    assert rsa(X, Y) == pytest.approx(oracles_samples.rsa(X, Y), rel=1e-12)
    assert rsa(X, Y) == pytest.approx(
        spearmanr(pdist(X, "correlation"), pdist(Y, "correlation")).statistic, rel=1e-12
    )
    assert rsa(X, X) == pytest.approx(1.0, rel=1e-14)


def test_blocks_of_features_serve_as_well():
    gram = SampleGram.from_block(X[:, :2]).merge(SampleGram.from_block(X[:, 2:]))
    np.testing.assert_allclose(
        ranked_dissimilarities(gram).values,
        ranked_dissimilarities(SampleGram.from_block(X)).values,
        atol=1e-14,
    )


def test_a_common_offset_of_all_features_costs_no_ranks():
    """Correlations do not see it; the Gram keeps it apart from everything else."""
    assert rsa(X + 1e5, Y) == pytest.approx(rsa(X, Y), abs=1e-6)


@given(n=st.integers(3, 9), levels=st.integers(2, 3), seed=st.integers(0, 10_000))
def test_ties_share_the_mean_of_their_ranks(n, levels, seed):
    rng = np.random.default_rng(seed)
    A, B = (rng.integers(0, levels, (n, 4)).astype(float) for _ in range(2))
    try:
        found = rsa(A, B)
    except UndefinedIndexError:
        assume(False)  # the refusals have tests of their own
    assert found == pytest.approx(oracles_samples.rsa(A, B), abs=1e-12)


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_mid_ranks_against_scipy(values):
    array = np.array(values, dtype=float)
    np.testing.assert_array_equal(mid_ranks(array), rankdata(array))


def test_a_monotone_change_of_all_dissimilarities_changes_nothing():
    """Two features more that all samples share add to every correlation in the same order."""
    signs = np.sign(X - np.median(X))
    spread = np.column_stack(
        [signs, -signs]
    )  # rows of mean 0 and equal norm: correlations are inner products
    padded = np.column_stack([spread, np.full(30, 2.0), np.full(30, -2.0)])
    assert rsa(spread, padded) == pytest.approx(1.0, rel=1e-13)


UNDEFINED = {
    "too_few_rows": X[:2],
    "constant": np.tile([1.0, 2.0, 4.0], (9, 1)),
    "a single feature": X[:, :1],
    "a sample without variation": np.vstack([X, np.full(7, 3.0)]),
    "all equally dissimilar": np.eye(6),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_what_has_no_value_says_why(case):
    with pytest.raises(UndefinedIndexError) as caught:
        ranked_dissimilarities(SampleGram.from_block(UNDEFINED[case]))
    assert caught.value.status == (case if case in {"too_few_rows", "constant"} else "degenerate")
    assert "rsa" in str(caught.value)
