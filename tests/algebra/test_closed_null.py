"""Effect sizes without permutations: the closed form against every order there is, against draws and other formulas."""

from __future__ import annotations

from itertools import permutations
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from stitchpipe import algebra
from stitchpipe.algebra.batches import LayerBatch
from stitchpipe.algebra.certainty import (
    FAR,
    ClosedNull,
    GramSums,
    NullSums,
    closed_null,
    draw_permutations,
    holm,
)
from stitchpipe.algebra.certainty.closed_null import EXACT, SPECTRAL
from stitchpipe.algebra.errors import AlgebraError, RowsError
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.samples import SampleGram
from tests import oracles
from tests.algebra.cases import EPS, orthogonal

CLOSED = ("cka", "cka_biased", "rv")


def cka_biased(X, Y):
    return oracles.cka(X, Y, oracles.hsic_biased)


ORACLES = {"cka": oracles.cka, "cka_biased": cka_biased, "rv": cka_biased}


def layers(n, p=3, q=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)) ** 3 + 2.0, np.maximum(rng.standard_normal((n, q)), -0.3) * [1.0, 9.0][
        :q
    ]


def sums_of_rows(index, *rows):
    return closed_null(
        *(
            NullSums.of_matrix(algebra.index_named(index).of_gram(SampleGram.from_block(X)).whole)
            for X in rows
        )
    )


def from_moments(index, X, Y):
    return algebra.index_named(index).closed_null(*GramSums.of_pair(algebra.PairMoments.from_rows(X, Y)))


@pytest.mark.parametrize("index", CLOSED)
def test_mean_deviation_and_skewness_are_those_of_all_orders(index):
    """5,040 orders of 7 images, each by the definition."""
    X, Y = layers(7)
    kernels = [algebra.index_named(index).of_gram(SampleGram.from_block(rows)).whole for rows in (X, Y)]
    values = np.array(
        [np.vdot(kernels[0], kernels[1][np.ix_(o, o)]) for o in map(list, permutations(range(7)))]
    )
    assert values[0] == pytest.approx(ORACLES[index](X, Y), rel=1e-10)
    assert values[1234] == pytest.approx(
        ORACLES[index](X, Y[list(list(permutations(range(7)))[1234])]), rel=1e-10, abs=1e-12
    )
    null = sums_of_rows(index, X, Y)
    tolerance = 1e4 * EPS
    assert null.mean == pytest.approx(values.mean(), abs=tolerance)
    assert null.deviation == pytest.approx(values.std(), rel=tolerance)
    assert null.skewness == pytest.approx(stats.skew(values), rel=1e-8)
    assert null.moments == EXACT
    of_moments = from_moments(index, X, Y)
    assert of_moments.mean == pytest.approx(values.mean(), abs=tolerance)
    assert of_moments.deviation == pytest.approx(values.std(), rel=tolerance)
    assert of_moments.moments == SPECTRAL


@pytest.mark.parametrize("n", [4, 5, 6])
def test_few_images_have_all_three_moments_too(n):
    """With fewer than six images some ways to share them do not exist."""
    X, Y = layers(n)
    kernels = [algebra.INDICES["cka_biased"].of_gram(SampleGram.from_block(rows)).whole for rows in (X, Y)]
    orders = map(list, permutations(range(n)))
    values = np.array([np.vdot(kernels[0], kernels[1][np.ix_(order, order)]) for order in orders])
    null = sums_of_rows("cka_biased", X, Y)
    assert [null.mean, null.deviation, null.skewness] == pytest.approx(
        [values.mean(), values.std(), stats.skew(values)], rel=1e-8
    )


@pytest.mark.parametrize("index", ["cka", "cka_biased"])
def test_sixty_images_against_an_independent_library(index):
    """`scipy.stats.permutation_test` shuffles rows by itself; its draws have a Monte-Carlo error."""
    X, Y = layers(60, 4, 2, seed=3)
    K, L = (algebra.INDICES[index].of_gram(SampleGram.from_block(rows)).whole for rows in (X, Y))

    def statistic(places):
        order = places.astype(int)
        return np.vdot(K[np.ix_(order, order)], L)

    draws = 1500
    drawn = stats.permutation_test(
        (np.arange(60),), statistic, permutation_type="pairings", n_resamples=draws, alternative="greater",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    null = sums_of_rows(index, X, Y)
    values = drawn.null_distribution
    assert null.gap(values) < 4
    assert values.mean() == pytest.approx(null.mean, abs=4 * null.deviation / sqrt(draws))
    assert values.std() == pytest.approx(
        null.deviation, rel=4 * sqrt((2 + 1.5 * null.skewness**2) / 4 / draws)
    )
    p = null.p_value(np.asarray(drawn.statistic))
    assert p == pytest.approx(drawn.pvalue, abs=4 * sqrt(p * (1 - p) / draws) + 0.01)


def test_tails_are_those_of_a_pearson_law_of_another_library():
    z = np.linspace(-3, 8, 23)
    for skewness in (-1.4, -0.2, 0.0, 1e-6, 0.05, 0.9, sqrt(8)):
        null = ClosedNull(np.asarray(0.25), np.asarray(0.5), np.asarray(skewness), SPECTRAL)
        expected = stats.pearson3.sf(z, skewness)
        np.testing.assert_allclose(null.p_value(0.25 + 0.5 * z), expected, rtol=1e-6, atol=1e-300)
        np.testing.assert_allclose(null.effect_size(0.25 + 0.5 * z), z, atol=1e-14)


def test_one_direction_on_either_side_has_the_tail_of_a_squared_correlation():
    """With p = q = 1 biased CKA is r², which is Beta distributed: χ² with one degree as n grows."""
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((2000, 1)), rng.standard_normal((2000, 1))
    null = from_moments("cka_biased", X, Y)
    for r_squared in (0.001, 0.002, 0.005):
        expected = stats.beta.sf(r_squared, 0.5, 999.0)
        assert null.p_value(np.asarray(r_squared)) == pytest.approx(expected, rel=0.02)


def test_debiased_has_mean_0_and_a_deviation_that_knows_no_layer():
    for n, p in ((50, 3), (200, 40), (40, 90)):
        X, Y = layers(n, p, 2, seed=n)
        for null in (from_moments("cka", X, Y), sums_of_rows("cka", X, Y)):
            assert null.mean == pytest.approx(0.0, abs=1e3 * EPS)
            assert null.deviation == pytest.approx(sqrt(2 / (n * (n - 3))), rel=1e-10)


@pytest.mark.parametrize("index", CLOSED)
def test_an_effect_size_knows_no_scale_shift_or_rotation(index):
    X, Y = layers(40, 5, 2, seed=2)
    moved = 1e6 * (X @ orthogonal(5, 1)) - 4.0
    before, after = (
        from_moments(index, rows, Y).effect_size(np.asarray(ORACLES[index](rows, Y))) for rows in (X, moved)
    )
    assert after == pytest.approx(before, rel=1e-7)


@pytest.mark.parametrize("index", CLOSED)
def test_batches_and_pairs_have_the_same_null(index):
    X, Y = layers(30, 4, 2, seed=5)
    pair = algebra.PairMoments.from_rows(X, Y)
    eps = np.array([algebra.EPS64])
    of_batch = [
        LayerBatch(pair.n, side.mean[None], side.comoment[None], eps, np.array([norms])).gram_sums
        for side, norms in ((pair.x, pair.norm_products.xx), (pair.y, pair.norm_products.yy))
    ]
    batched, alone = algebra.index_named(index).closed_null(*of_batch), from_moments(index, X, Y)
    for name in ("mean", "deviation", "skewness"):
        assert getattr(batched, name)[0] == pytest.approx(float(getattr(alone, name)), rel=1e-12)


def test_the_third_moment_of_many_images_tends_to_that_of_the_spectra():
    rng = np.random.default_rng(7)
    X, Y = (rng.standard_normal((800, 3)) * [4.0, 1.0, 0.5] for _ in range(2))
    exact, limit = sums_of_rows("cka_biased", X, Y), from_moments("cka_biased", X, Y)
    assert limit.skewness == pytest.approx(exact.skewness, rel=0.05)
    assert exact.skewness > 1


def test_a_few_images_that_outweigh_all_others_are_told():
    """No three moments describe that null: permutations and the closed form disagree, and say so."""
    orders, gaps = draw_permutations(200, 199), []
    for weight in (0.0, 2.0):
        rng = np.random.default_rng(0)
        X, Y = (
            rng.standard_normal((200, 8)) * np.exp(weight * rng.standard_normal((200, 1))) for _ in range(2)
        )
        kernels = [algebra.INDICES["cka"].of_gram(SampleGram.from_block(rows)).whole for rows in (X, Y)]
        drawn = np.array([np.vdot(kernels[0], kernels[1][np.ix_(order, order)]) for order in orders])
        gaps.append(float(sums_of_rows("cka", X, Y).gap(drawn)))
    assert gaps[0] < 4 < FAR < gaps[1]


def test_what_has_no_spread_has_no_effect_size():
    """All images equally far apart: every order gives the same number."""
    null = sums_of_rows("cka_biased", np.eye(6), np.eye(6))
    assert np.isnan(null.beside(np.asarray(1.0))["effect_size"])
    constant = algebra.PairMoments.from_rows(np.ones((6, 2)), layers(6)[0])
    assert GramSums.of_pair(constant) is None
    assert np.isnan(from_moments("cka_biased", *layers(3)).deviation)


def test_layers_on_other_images_are_refused():
    x, y = (NullSums.of_matrix(np.diag(np.arange(n) + 1.0)) for n in (6, 7))
    with pytest.raises(RowsError, match="the same images"):
        closed_null(x, y)


def test_a_declaration_of_a_closed_form_needs_what_it_is_made_of():
    cka = algebra.INDICES["cka"]
    with pytest.raises(AlgebraError, match="null in closed form"):
        Index(cka.measure, of_moments=cka.of_moments, of_gram=cka.of_gram, linear_null="cka")


def test_holm_as_the_definition_has_it():
    """The i-th smallest of m is multiplied by m − i + 1, and is never below one before it; undefined ones are out."""
    p = np.array([0.01, 0.04, 0.03, 0.005, np.nan, 0.2, 0.02])
    families = np.array([0, 0, 0, 0, 0, -1, 7])
    expected = [0.03, 0.06, 0.06, 0.02, np.nan, np.nan, 0.02]
    np.testing.assert_allclose(holm(p, families), expected)
