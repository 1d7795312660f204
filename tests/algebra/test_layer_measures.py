"""Measures of one layer: pinned to oracles, to SciPy and scikit-learn, and to closed cases."""

import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from stitchpipe.algebra import INDICES, AlgebraError, CentredRows, Moments, UndefinedIndexError
from stitchpipe.algebra.certainty import share_error
from stitchpipe.algebra.layer_measure import LabelledRows, LayerContents, LayerMeasure
from stitchpipe.algebra.layers import LAYER_MEASURES, layer_measure_named
from stitchpipe.algebra.layers.effective_rank import effective_rank
from stitchpipe.algebra.layers.linear_probe import linear_probe
from stitchpipe.algebra.layers.participation_ratio import participation_ratio
from stitchpipe.algebra.layers.spectrum_exponent import spectrum_exponent
from stitchpipe.algebra.layers.two_nn import two_nn
from stitchpipe.measures import UnknownNameError
from tests import oracles, oracles_optimised
from tests.algebra.cases import conditioned, orthogonal

DOUBLE = 2.0**-52
OF_MOMENTS = {
    "participation_ratio": participation_ratio,
    "effective_rank": effective_rank,
    "spectrum_exponent": lambda moments: spectrum_exponent(moments)[0],
}


def moments(rows):
    return CentredRows.of(rows).narrowed().moments


def with_spectrum(values, n=400, seed=0):
    """Rows whose comoment has just these eigenvalues."""
    p = len(values)
    rng = np.random.default_rng(seed)
    left = rng.standard_normal((n, p))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    return (left * np.sqrt(values)) @ orthogonal(p, seed) + 3.0


ROWS = {
    "tall": conditioned(150, 40, 8.0, 1),
    "wide": np.random.default_rng(2).standard_normal((30, 60)) @ np.diag(np.geomspace(1, 0.1, 60)) + 2.0,
    "dead": np.column_stack([conditioned(90, 25, 5.0, 3), np.full(90, 0.1), np.zeros(90)]),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", OF_MOMENTS)
def test_measures_of_the_spectrum_are_the_oracles(name, rows):
    expected = getattr(oracles, name)(ROWS[rows])
    assert OF_MOMENTS[name](moments(ROWS[rows])) == pytest.approx(expected, rel=1e-9)
    assert OF_MOMENTS[name](Moments.from_block(ROWS[rows])) == pytest.approx(expected, rel=1e-6)


def test_measures_of_the_spectrum_against_libraries():
    rows = ROWS["tall"]
    variances = PCA().fit(rows).explained_variance_
    assert participation_ratio(moments(rows)) == pytest.approx(variances.sum() ** 2 / (variances**2).sum())
    assert effective_rank(moments(rows)) == pytest.approx(np.exp(scipy.stats.entropy(np.sqrt(variances))))
    ranks = np.arange(11, 41)
    line = LinearRegression().fit(np.log(ranks)[:, None], np.log(variances[10:]), sample_weight=1.0 / ranks)
    exponent, last, explained = spectrum_exponent(moments(rows))
    assert (exponent, last) == (pytest.approx(-line.coef_[0]), 40)
    assert explained == pytest.approx(
        line.score(np.log(ranks)[:, None], np.log(variances[10:]), sample_weight=1.0 / ranks)
    )


def test_closed_cases_of_the_spectrum():
    flat = moments(with_spectrum(np.ones(30)))
    assert participation_ratio(flat) == pytest.approx(30.0, rel=1e-10)
    assert effective_rank(flat) == pytest.approx(30.0, rel=1e-10)
    assert spectrum_exponent(flat)[0] == pytest.approx(0.0, abs=1e-9)
    for alpha in (0.7, 1.3):
        law = moments(with_spectrum(np.arange(1, 61) ** -alpha))
        exponent, last, explained = spectrum_exponent(law)
        assert (exponent, last, explained) == (pytest.approx(alpha, rel=1e-9), 60, pytest.approx(1.0))
    # One direction alone, in 5 columns: of float16 what is left of the others is rounding.
    line = np.outer(np.random.default_rng(0).standard_normal(50), np.arange(1.0, 6.0))
    assert participation_ratio(moments(line)) == pytest.approx(1.0, rel=1e-12)
    rounded = line.astype(np.float16).astype(np.float64)
    assert effective_rank(moments(rounded), storage_eps=2.0**-10) == pytest.approx(1.0, abs=1e-12)
    assert effective_rank(moments(rounded)) > 1.0 + 1e-4


def test_narrow_layers_have_no_exponent():
    with pytest.raises(UndefinedIndexError) as refused:
        spectrum_exponent(moments(conditioned(80, 19, 3.0, 0)))
    assert refused.value.status == "too_few_directions"
    assert spectrum_exponent(moments(conditioned(80, 20, 3.0, 0)))[1] == 20


@pytest.mark.parametrize("seed", [0, 1])
def test_two_nn_is_the_oracles_and_scikit_learns(seed):
    points = np.random.default_rng(seed).standard_normal((120, 5)) @ np.ones((5, 8)) + np.arange(8)
    points += 0.5 * np.random.default_rng(seed + 9).standard_normal(points.shape)
    expected = oracles.two_nn(points)
    distances = NearestNeighbors(n_neighbors=3).fit(points).kneighbors(points)[0]
    dimension, count, left_out = two_nn(points)
    assert (count, left_out) == (120, 0)
    assert dimension == pytest.approx(expected, rel=1e-10)
    assert dimension == pytest.approx(120 / np.log(distances[:, 2] / distances[:, 1]).sum(), rel=1e-10)


def test_two_nn_of_known_dimension_anywhere(monkeypatch):
    """Uniform in a square: 2 within three standard errors; moved, turned and scaled it is the same number."""
    monkeypatch.setattr(
        "stitchpipe.algebra.layers.two_nn.BLOCK_BYTES", 8 * 1000 * 77
    )  # blocks that do not divide n
    rng = np.random.default_rng(0)
    square = rng.uniform(size=(1000, 2)) @ np.linalg.qr(rng.standard_normal((6, 2)))[0].T
    dimension, count, _ = two_nn(square)
    assert abs(dimension - 2.0) <= 3 * 2.0 / np.sqrt(count)
    moved = 50.0 * square @ orthogonal(6, 1) + 1e5
    assert two_nn(moved)[0] == pytest.approx(dimension, rel=1e-5)


def test_copies_are_left_out_of_two_nn_and_counted():
    points = np.random.default_rng(3).standard_normal((60, 4)) + 1e4
    copied = np.concatenate([points, points[:7], points[:7], points[:2], points[:2], points[:2]])
    dimension, count, left_out = two_nn(copied)
    assert (count, left_out) == (53, 7 * 3 + 2 * 3)
    assert dimension == pytest.approx(oracles.two_nn(copied), rel=1e-9)
    contents = LayerContents(moments(copied), DOUBLE, rows=copied)
    number = LAYER_MEASURES["two_nn"].number(contents)
    assert number.reason == "left out, because another image has the same values: 27 images"
    assert number.standard_error == pytest.approx(dimension / np.sqrt(53))


def test_what_has_no_dimension():
    for points, status in (
        (np.zeros((2, 3)), "too_few_rows"),
        (np.ones((9, 3)), "too_few_rows"),
        (np.eye(5), "degenerate"),
    ):
        with pytest.raises(UndefinedIndexError) as refused:
            two_nn(points)
        assert refused.value.status == status


def classes(n, noise, seed):
    """Rows of three classes whose means lie on a triangle, with a dead feature and one of another scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    rows = np.array([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]])[labels] + noise * rng.standard_normal((n, 2))
    return LabelledRows(np.column_stack([rows[:, 0], 1e3 * rows[:, 1] + 7.0, np.full(n, 0.1)]), labels)


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_the_probe_tells_what_the_textbooks_minimum_tells(strength):
    train, test = classes(150, 0.8, 0), classes(200, 0.8, 1)
    told = oracles_optimised.logistic_probe(train.rows, train.labels, test.rows, strength)
    accuracy, converged = linear_probe(train, test, strength=strength)
    assert converged
    # A class may change where two are told alike up to the fit's tolerance.
    assert accuracy == pytest.approx(np.mean(told == test.labels), abs=1.5 / 200)


def test_the_probe_is_as_good_as_another_linear_classifier():
    train, test = classes(400, 0.7, 2), classes(400, 0.7, 3)
    other = make_pipeline(StandardScaler(), LinearSVC(dual=False)).fit(train.rows, train.labels)
    accuracy, _ = linear_probe(train, test)
    error = share_error(np.arange(400) < 400 * accuracy)
    assert abs(accuracy - other.score(test.rows, test.labels)) <= 2 * error


def test_closed_cases_of_the_probe():
    assert linear_probe(classes(90, 0.01, 0), classes(90, 0.01, 1))[0] == 1.0
    shuffled = classes(300, 0.5, 4)
    train = LabelledRows(shuffled.rows, np.random.default_rng(0).permutation(shuffled.labels))
    accuracy, _ = linear_probe(train, classes(600, 0.5, 5))
    assert abs(accuracy - 1 / 3) < 0.2
    assert share_error(np.ones(96, bool)) == pytest.approx(np.sqrt(0.98 * 0.02 / 100))
    assert share_error(np.arange(10_000) % 2 == 0) == pytest.approx(0.005, rel=1e-3)


def test_the_error_of_a_probe_is_over_groups_where_there_are_some():
    """Each test image four times: as sure as the images, and of too few groups no error but a remark."""
    train, test = classes(90, 0.8, 6), classes(60, 0.8, 7)
    probe = LAYER_MEASURES["linear_probe"]

    def number(rows, labels, groups=None):
        return probe.number(LayerContents(moments(rows), DOUBLE, rows, labels, train, groups))

    once = number(test.rows, test.labels)
    copies = np.repeat(test.rows, 4, axis=0), np.repeat(test.labels, 4)
    together = number(*copies, np.repeat(np.arange(60), 4))
    assert (together.value, together.standard_error) == pytest.approx((once.value, once.standard_error))
    assert number(*copies).standard_error < 0.6 * once.standard_error
    few = number(test.rows, test.labels, np.arange(60) % 4)
    assert (few.value, few.standard_error) == (once.value, None)
    assert "fewer than 5 groups" in few.reason


def test_what_cannot_be_probed():
    good = classes(50, 0.5, 0)
    with pytest.raises(UndefinedIndexError) as refused:
        linear_probe(LabelledRows(np.ones((50, 2)), good.labels), good)
    assert refused.value.status == "constant"
    with pytest.raises(UndefinedIndexError) as refused:
        linear_probe(LabelledRows(good.rows, np.zeros(50, np.int64)), good)
    assert refused.value.status == "one_class"


def test_a_fit_that_was_cut_short_says_so(monkeypatch):
    monkeypatch.setattr("stitchpipe.algebra.layers.linear_probe.MOST_STEPS", 1)
    train = classes(50, 0.5, 0)
    contents = LayerContents(moments(train.rows), DOUBLE, train.rows, train.labels, train)
    assert "had not converged" in LAYER_MEASURES["linear_probe"].number(contents).reason


@pytest.mark.parametrize("name", LAYER_MEASURES)
def test_a_constant_layer_has_no_number(name):
    train = classes(50, 0.5, 0)
    constant = np.full((50, 3), 0.1)
    contents = LayerContents(
        moments(constant), DOUBLE, constant, train.labels, LabelledRows(constant, train.labels)
    )
    number = LAYER_MEASURES[name].number(contents)
    assert number.value is None
    assert number.status in {"constant", "too_few_rows"}


def test_what_is_asked_of_what_is_not_there_is_refused():
    train = classes(50, 0.5, 0)
    with pytest.raises(AlgebraError, match="one row for each image"):
        LAYER_MEASURES["two_nn"].number(LayerContents(moments(train.rows), DOUBLE))
    with pytest.raises(AlgebraError, match="labels of the training images"):
        LAYER_MEASURES["linear_probe"].number(LayerContents(moments(train.rows), DOUBLE, train.rows))
    with pytest.raises(AlgebraError, match="the kind 'layer'"):
        LayerMeasure(INDICES["cka"].measure, lambda contents, measure: None)


def test_names():
    assert all(name == measure.name for name, measure in LAYER_MEASURES.items())
    assert layer_measure_named("linear_probe(0.10)").name == "linear_probe(0.1)"
    assert layer_measure_named("linear_probe(1)").name == "linear_probe"
    with pytest.raises(UnknownNameError, match="Did you mean 'two_nn'"):
        layer_measure_named("two_mm")
