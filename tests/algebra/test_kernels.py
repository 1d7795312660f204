"""CKA from Grams: against n×n definitions, scikit-learn's kernels, and the same index from moments."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel as scikit_rbf

from stitchpipe import algebra
from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.indices.cka_rbf import cka_rbf, median_distance, rbf_kernel
from stitchpipe.algebra.samples import SampleGram, alignment, alignments, u_centred
from tests import oracles, oracles_samples
from tests.algebra.cases import related

TIGHT = 1e-11
PAIRS = {
    "narrow": related(n=40, p=6, q=5, seed=0),
    "wide": tuple(np.random.default_rng(1).standard_normal((2, 25, 70)) + 1.0),
    "odd number of pairs": related(n=7, p=3, q=2, seed=3),
}
HSIC = {True: oracles.hsic_unbiased, False: oracles.hsic_biased}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("debiased", [True, False])
def test_linear_cka_from_grams_is_that_from_moments(pair, debiased):
    X, Y = PAIRS[pair]
    x, y = (linear_kernel(SampleGram.from_block(rows), debiased=debiased) for rows in (X, Y))
    assert x.index == ("cka" if debiased else "cka_biased")
    assert alignment(x, y) == pytest.approx(algebra.cka(X, Y, debiased=debiased), rel=TIGHT)
    assert alignment(x, y) == pytest.approx(oracles.cka(X, Y, HSIC[debiased]), rel=TIGHT)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("bandwidth", [1.0, 0.4])
def test_rbf_cka_against_the_definition(pair, debiased, bandwidth):
    X, Y = PAIRS[pair]
    K, L = (oracles_samples.rbf(rows, bandwidth) for rows in (X, Y))
    expected = oracles_samples.kernel_cka(K, L, HSIC[debiased])
    assert cka_rbf(X, Y, debiased=debiased, bandwidth=bandwidth) == pytest.approx(expected, rel=TIGHT)


def test_rbf_cka_against_scikit_learns_kernel():
    X, Y = PAIRS["narrow"]
    kernels = []
    for rows in (X, Y):
        sigma = median_distance(SampleGram.from_block(rows))
        kernels.append(scikit_rbf(rows, gamma=1 / (2 * sigma**2)))
    expected = oracles_samples.kernel_cka(*kernels, oracles.hsic_song)
    assert cka_rbf(X, Y) == pytest.approx(expected, rel=TIGHT)


def test_u_centred_matrices_by_hand():
    """n = 4: of six values, what is left after row effects. Rows and columns sum to zero."""
    K = np.array([[9.0, 1, 2, 3], [1, 9, 4, 5], [2, 4, 9, 6], [3, 5, 6, 9]])
    U = u_centred(K, index="cka")
    np.testing.assert_allclose(U, oracles.u_centre(K), rtol=0, atol=1e-14)
    np.testing.assert_allclose(U.sum(axis=0), 0, atol=1e-14)
    # K₁₂ − (1+2+3)/2 − (1+4+5)/2 + 42/6 = 1 − 3 − 5 + 7
    assert U[0, 1] == pytest.approx(0.0, abs=1e-14)
    assert U[0, 2] == pytest.approx(2 - 3 - 6 + 7, abs=1e-14)


def test_a_wide_bandwidth_tends_to_linear_cka():
    X, Y = PAIRS["narrow"]
    assert cka_rbf(X, Y, bandwidth=1e3) == pytest.approx(algebra.cka(X, Y), rel=1e-4)
    assert abs(cka_rbf(X, Y) - algebra.cka(X, Y)) > 1e-3


def test_rbf_sees_what_linear_does_not():
    """A circle and its angle doubled: no linear relation, a clear smooth one."""
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    Y = np.column_stack([np.cos(2 * angle), np.sin(2 * angle)])
    assert abs(algebra.cka(X, Y)) < 0.05
    assert cka_rbf(X, Y, bandwidth=0.5) > 0.1


def test_tables_are_their_pairs_and_chunks_cover_all_entries():
    rng = np.random.default_rng(0)  # n = 140: 9,870 packed entries, more than a chunk
    layers = [rng.standard_normal((140, width)) for width in (3, 5, 4)]
    matrices = [linear_kernel(SampleGram.from_block(rows)) for rows in layers]
    table = alignments(matrices, matrices[:2])
    assert table.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            assert table[i, j] == pytest.approx(algebra.cka(layers[i], layers[j]), abs=1e-14)
    np.testing.assert_allclose(np.diag(alignments(matrices, matrices)), 1.0, rtol=1e-14)


def test_matrices_of_different_kinds_or_samples_are_refused():
    x, y = (SampleGram.from_block(rows) for rows in PAIRS["narrow"])
    other = SampleGram.from_block(PAIRS["wide"][0])
    for refused in (
        lambda: alignment(linear_kernel(x), rbf_kernel(y)),
        lambda: alignment(linear_kernel(x), linear_kernel(other)),
        lambda: alignments([], [linear_kernel(x)]),
    ):
        with pytest.raises(RowsError, match="sample matrices"):
            refused()


def test_median_distance_of_many_samples_is_of_evenly_spaced_ones(monkeypatch):
    monkeypatch.setattr("stitchpipe.algebra.indices.cka_rbf.MOST_IMAGES", 10)
    X = PAIRS["narrow"][0]
    spaced = oracles_samples.distances(X[::4])
    expected = np.median(spaced[np.tril_indices(10, -1)])
    assert median_distance(SampleGram.from_block(X)) == pytest.approx(expected, rel=1e-13)


UNDEFINED = {
    "constant": (np.full((9, 2), 0.3), "constant", "constant"),
    "equidistant": (np.eye(9), "degenerate", None),
    "one sample": (np.ones((1, 2)), "too_few_rows", "too_few_rows"),
    "three samples": (np.array([[1.0], [2.0], [4.0]]), "too_few_rows", None),
}


@pytest.mark.parametrize("kernel", [linear_kernel, rbf_kernel])
@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("case", UNDEFINED)
def test_what_has_no_value_says_why(case, kernel, debiased):
    rows, status, biased_status = UNDEFINED[case]
    expected = status if debiased else biased_status
    if expected is None:
        assert np.linalg.norm(kernel(SampleGram.from_block(rows), debiased=False).values) == pytest.approx(
            1.0
        )
        return
    with pytest.raises(UndefinedIndexError) as caught:
        kernel(SampleGram.from_block(rows), debiased=debiased)
    assert caught.value.status == expected


def test_coinciding_samples_have_no_median_distance():
    X = np.repeat([[0.0], [1.0]], [9, 1], axis=0)
    with pytest.raises(UndefinedIndexError, match="coincide") as caught:
        rbf_kernel(SampleGram.from_block(X))
    assert caught.value.status == "degenerate"


def test_a_bandwidth_must_be_positive():
    X, Y = PAIRS["narrow"]
    for bandwidth in (0.0, -1.0, float("nan")):
        with pytest.raises(RowsError, match="bandwidth"):
            cka_rbf(X, Y, bandwidth=bandwidth)
