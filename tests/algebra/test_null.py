"""Permutation nulls are exact: each draw is the index on rows shuffled for good, by whatever route."""

import numpy as np
import pytest
import torch

from stitchpipe import algebra
from stitchpipe.algebra.certainty import (
    LINEAR_INDICES,
    draw_permutations,
    linear_null_cost,
    linear_nulls,
    neighbour_null,
    permutation_null,
)
from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.indices.cka_rbf import cka_rbf, rbf_kernel
from stitchpipe.algebra.indices.mutual_knn import mutual_knn
from stitchpipe.algebra.indices.rsa import ranked_dissimilarities, rsa
from stitchpipe.algebra.samples import NeighbourSets, PrincipalScores, SampleGram
from stitchpipe.measures import UnknownNameError
from tests import oracles, oracles_samples
from tests.algebra.cases import EPS
from tests.algebra.null_of_a_pair import TESTABLE, permutation_test

N = 36


def layers(widths, seed):
    """Layers that share four latent variables, with means away from 0."""
    Z = np.random.default_rng(9).standard_normal((N, 4))
    rng = np.random.default_rng(seed)
    return [
        np.tanh(Z @ rng.standard_normal((4, w))) + 0.5 * rng.standard_normal((N, w)) + rng.standard_normal(w)
        for w in widths
    ]


SOURCES, TARGETS = layers((3, 6, 50), 0), layers((5, 4), 1)
ORDERS = draw_permutations(N, 12, seed=3)
VALUES = {
    "cka": algebra.cka,
    "cka_biased": lambda X, Y: algebra.cka(X, Y, debiased=False),
    "cca_sq": algebra.cca_sq,
    "cka_rbf": cka_rbf,
    "cka_rbf_biased": lambda X, Y: cka_rbf(X, Y, debiased=False),
    "rsa": rsa,
    "mutual_knn": mutual_knn,
}
MATRICES = {
    "cka": linear_kernel,
    "cka_biased": lambda gram: linear_kernel(gram, debiased=False),
    "cka_rbf": rbf_kernel,
    "cka_rbf_biased": lambda gram: rbf_kernel(gram, debiased=False),
    "rsa": ranked_dissimilarities,
}


def assert_exact(null, value, sources, targets, *, tolerance=1e-12):
    assert null.observed.shape == (len(sources), len(targets))
    assert null.null.shape == (len(ORDERS), len(sources), len(targets))
    for x, X in enumerate(sources):
        for y, Y in enumerate(targets):
            if (x, y) in null.undefined:
                continue
            assert null.observed[x, y] == pytest.approx(value(X, Y), abs=tolerance)
            for k, order in enumerate(ORDERS):
                assert null.null[k, x, y] == pytest.approx(value(X, Y[order]), abs=tolerance)


@pytest.mark.parametrize("index", MATRICES)
@pytest.mark.parametrize("few_sources", [False, True])
def test_matrices_give_the_index_on_shuffled_rows(index, few_sources):
    """Both ways round: the gather is from the side with fewer layers."""
    sources, targets = (TARGETS, SOURCES) if few_sources else (SOURCES, TARGETS)
    x, y = ([MATRICES[index](SampleGram.from_block(rows)) for rows in side] for side in (sources, targets))
    null = permutation_null(x, y, ORDERS)
    assert null.index == index
    assert_exact(null, VALUES[index], sources, targets)


def test_neighbours_give_the_index_on_shuffled_rows():
    rng = np.random.default_rng(0)
    sources, targets = (
        [*SOURCES, rng.integers(1, 3, (N, 3)).astype(float)],
        [*TARGETS, np.repeat(SOURCES[0][::3], 3, 0)],
    )
    x, y = ([NeighbourSets.of(SampleGram.from_block(rows)) for rows in side] for side in (sources, targets))
    assert x[-1].samples.shape[1] > 10  # ties at the last place
    assert_exact(neighbour_null(x, y, ORDERS), mutual_knn, sources, targets)


@pytest.mark.parametrize("route", ["features", "grams"])
@pytest.mark.parametrize("index", LINEAR_INDICES)
def test_scores_give_the_index_on_shuffled_rows(index, route):
    x, y = ([PrincipalScores.from_rows(rows) for rows in side] for side in (SOURCES, TARGETS))
    null = linear_nulls(x, y, ORDERS, indices=(index,), route=route)[index]
    assert_exact(null, VALUES[index], SOURCES, TARGETS)
    # 50 features in 36 samples have rank 35: correlations of 1 are forced, and refused
    assert set(null.undefined) == ({(2, 0), (2, 1)} if index == "cca_sq" else set())


def test_the_two_routes_agree_to_rounding():
    x, y = ([PrincipalScores.from_rows(rows) for rows in side] for side in (SOURCES, TARGETS))
    by_features, by_grams = (linear_nulls(x, y, ORDERS, route=route) for route in ("features", "grams"))
    chosen = linear_nulls(x, y, ORDERS)
    assert list(by_features) == list(LINEAR_INDICES)
    for index in LINEAR_INDICES:
        for field in ("observed", "null"):
            one, other = getattr(by_features[index], field), getattr(by_grams[index], field)
            np.testing.assert_allclose(one, other, rtol=0, atol=50 * EPS)
            np.testing.assert_allclose(getattr(chosen[index], field), one, rtol=0, atol=50 * EPS)


def test_scores_from_a_gram_are_those_from_rows():
    X = SOURCES[1]
    wide = SampleGram.from_block(X[:, :2]).merge(SampleGram.from_block(X[:, 2:]))
    x, y = PrincipalScores.from_gram(wide), PrincipalScores.from_rows(TARGETS[0])
    assert x.rank == PrincipalScores.from_rows(X).rank == 6
    nulls = linear_nulls([x], [y], ORDERS)
    for index in LINEAR_INDICES:
        assert_exact(nulls[index], VALUES[index], [X], [TARGETS[0]])


def test_rank_deficient_layers_count_what_they_hold():
    X = np.column_stack([SOURCES[0], SOURCES[0] @ np.ones(3), np.full(N, 0.3)])
    scores = PrincipalScores.from_rows(X)
    assert scores.rank == 3
    nulls = linear_nulls([scores], [PrincipalScores.from_rows(TARGETS[0])], ORDERS)
    assert nulls["cca_sq"].observed[0, 0] == pytest.approx(oracles.cca_sq(X, TARGETS[0]), rel=1e-9)
    assert_exact(nulls["cka"], algebra.cka, [X], [TARGETS[0]])


def test_storage_precision_decides_the_rank():
    coarse = SOURCES[0].astype(np.float16)
    X = np.column_stack([coarse, (coarse[:, 0] + coarse[:, 1]).astype(np.float16)])
    assert PrincipalScores.from_rows(X).rank == 3
    assert PrincipalScores.from_rows(X.astype(np.float64)).rank == 4
    gram = SampleGram.from_block(X)
    assert PrincipalScores.from_gram(gram, storage_eps=2.0**-10).rank == 3


def test_the_cheaper_route_follows_the_widths():
    narrow = linear_null_cost(2000, [16] * 9, [32] * 27)
    assert narrow.cheaper == "features"
    assert narrow.features == pytest.approx(201 * 144 * 864 * (2 * 2000 + 2 * 9))
    wide = linear_null_cost(2000, [2048] * 9, [2048] * 27)
    assert wide.cheaper == "grams"
    assert linear_null_cost(2000, [2048] * 9, [2048] * 27, kernels=2).grams == pytest.approx(2 * wide.grams)


def test_targets_that_do_not_fit_side_by_side_are_worked_in_groups(monkeypatch):
    grams = [SampleGram.from_block(rows) for rows in SOURCES]
    matrices, sets = [linear_kernel(gram) for gram in grams], [NeighbourSets.of(gram) for gram in grams]
    whole = permutation_null(matrices, matrices, ORDERS), neighbour_null(sets, sets, ORDERS)
    monkeypatch.setattr("stitchpipe.algebra.samples.sample_matrix._BESIDE_BYTES", 8 * N * N)
    monkeypatch.setattr("stitchpipe.algebra.samples.sample_matrix._CHUNK", 100)
    parts = permutation_null(matrices, matrices, ORDERS), neighbour_null(sets, sets, ORDERS)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.null, other.null, rtol=0, atol=20 * EPS)
        np.testing.assert_allclose(one.observed, other.observed, rtol=0, atol=20 * EPS)


@pytest.mark.parametrize("index", TESTABLE)
def test_torch_tensors_give_the_same_null(index):
    X, Y = SOURCES[1], TARGETS[0]
    ours = permutation_test(X, Y, index=index, permutations=30)
    theirs = permutation_test(torch.tensor(X), torch.tensor(Y), index=index, permutations=30)
    assert theirs.value == pytest.approx(ours.value, rel=1e-12)
    assert theirs.threshold == pytest.approx(ours.threshold, rel=1e-10)
    assert theirs.p_value == ours.p_value


@pytest.mark.parametrize("index", TESTABLE)
def test_the_test_of_one_pair_against_its_definition(index):
    X, Y = SOURCES[0], TARGETS[1]
    found = permutation_test(X, Y, index=index, permutations=60, seed=5, level=0.1)
    null = [VALUES[index](X, Y[order]) for order in draw_permutations(N, 60, seed=5)]
    assert found.value == pytest.approx(VALUES[index](X, Y), abs=1e-12)
    assert found.p_value == pytest.approx(oracles_samples.p_value(found.value - 1e-12, null))
    assert found.score == pytest.approx(oracles_samples.calibrated_score(found.value, null, 0.1), abs=1e-10)
    assert (found.permutations, found.level) == (60, 0.1)


@pytest.mark.parametrize("index", TESTABLE)
def test_shared_structure_is_found(index):
    noisy = SOURCES[1] + 0.3 * np.random.default_rng(0).standard_normal(SOURCES[1].shape)
    assert permutation_test(SOURCES[1], noisy, index=index).p_value == pytest.approx(1 / 201)


def test_undefined_pairs_are_named_and_leave_the_others_alone():
    """All of n = 6 samples equally far apart: debiased CKA has no value, the biased form and CCA have."""
    equidistant, X = np.eye(6)[:, :6], np.random.default_rng(0).standard_normal((6, 2))
    scores = [PrincipalScores.from_rows(rows) for rows in (equidistant, X)]
    nulls = linear_nulls(scores, scores, draw_permutations(6, 9))
    assert set(nulls["cka"].undefined) == {(0, 0), (0, 1), (1, 0)}
    assert nulls["cka"].of_pair(1, 1)[0] == pytest.approx(1.0)
    with pytest.raises(UndefinedIndexError) as caught:
        nulls["cka"].of_pair(0, 1)
    assert caught.value.status == "degenerate"
    assert not nulls["cka_biased"].undefined
    with pytest.raises(UndefinedIndexError, match="5 \\+ 2 = 7") as caught:
        nulls["cca_sq"].of_pair(0, 1)
    assert caught.value.status == "too_few_rows"
    for null in nulls.values():
        assert np.isfinite(null.observed).all()
        for x, y in null.undefined:
            assert null.observed[x, y] == 0
            assert null.calibrated(level=0.2).p_value[x, y] == 1
            assert null.calibrated(level=0.2).score[x, y] == 0


def test_three_samples_are_too_few_for_debiasing_only():
    X = np.array([[1.0], [2.0], [4.0]])
    scores = [PrincipalScores.from_rows(X)]
    nulls = linear_nulls(scores, scores, draw_permutations(3, 9))
    assert nulls["cka"].undefined[0, 0].status == "too_few_rows"
    assert nulls["cka_biased"].of_pair(0, 0)[0] == pytest.approx(1.0)


def test_a_layer_below_its_storage_precision_has_no_correlations():
    rng = np.random.default_rng(0)
    faint = 1000.0 + 1e-4 * rng.standard_normal((N, 2))
    scores = PrincipalScores.from_rows(faint, storage_eps=2.0**-10)
    null = linear_nulls([scores], [PrincipalScores.from_rows(TARGETS[0])], ORDERS, indices=("cca_sq",))[
        "cca_sq"
    ]
    assert null.undefined[0, 0].status == "constant"


@pytest.mark.parametrize("fill", [0.0, 0.1])
def test_constant_layers_have_no_scores(fill):
    for scores in (
        lambda: PrincipalScores.from_rows(np.full((9, 2), fill)),
        lambda: PrincipalScores.from_rows(np.full((9, 20), fill)),
        lambda: PrincipalScores.from_gram(SampleGram.from_block(np.full((9, 2), fill))),
    ):
        with pytest.raises(UndefinedIndexError) as caught:
            scores()
        assert caught.value.status == "constant"


def test_permutations_are_seeded_and_uniform():
    np.testing.assert_array_equal(draw_permutations(9, 5, seed=1), draw_permutations(9, 5, seed=1))
    assert (draw_permutations(9, 5, seed=1) != draw_permutations(9, 5, seed=2)).any()
    drawn = draw_permutations(4, 9600, seed=0)
    _, counts = np.unique(drawn @ [64, 16, 4, 1], return_counts=True)
    assert len(counts) == 24
    assert ((counts - 400) ** 2 / 400).sum() < 49.7  # χ² with 23 degrees of freedom at .001
    with pytest.raises(RowsError, match="at least 1"):
        draw_permutations(9, 0)


BAD_ORDERS = {
    "one order alone": np.arange(N),
    "other samples": draw_permutations(N - 1, 3),
    "a sample twice": np.zeros((3, N), dtype=int),
}


@pytest.mark.parametrize("bad", BAD_ORDERS)
def test_orders_that_permute_nothing_are_refused(bad):
    grams = [SampleGram.from_block(rows) for rows in TARGETS]
    matrices, sets = [linear_kernel(gram) for gram in grams], [NeighbourSets.of(gram) for gram in grams]
    scores = [PrincipalScores.from_rows(rows) for rows in TARGETS]
    for null, sides in ((permutation_null, matrices), (neighbour_null, sets), (linear_nulls, scores)):
        with pytest.raises(RowsError, match="permutation of the 36 samples"):
            null(sides, sides, BAD_ORDERS[bad])


def test_other_samples_and_other_indices_are_refused():
    scores = [PrincipalScores.from_rows(rows) for rows in TARGETS]
    shorter = PrincipalScores.from_rows(TARGETS[0][:-1])
    with pytest.raises(RowsError, match=r"\[35, 36\]"):
        linear_nulls(scores, [shorter], ORDERS)
    with pytest.raises(RowsError, match="0 sources"):
        linear_nulls([], scores, ORDERS)
    with pytest.raises(UnknownNameError, match="'rsa'"):
        linear_nulls(scores, scores, ORDERS, indices=("rsa",))
    with pytest.raises(UnknownNameError, match="'procrustes'"):
        permutation_test(SOURCES[0], TARGETS[0], index="procrustes")
