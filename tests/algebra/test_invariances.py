"""The registry's declarations are true: symmetric or not, invariant or not, in range, and a metric or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.measures import UnknownNameError
from tests.algebra.cases import ALL, EPS, OF_MOMENTS, orthogonal, related

TRANSFORMATIONS = ("translation", "scaling", "permutation", "feature_scaling", "rotation", "invertible")
SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=6, deadline=None)
CONDITION = 30.0  # of the invertible map: enough for SVCCA to drop directions; related() has 5 itself


def transform(kind, rows, seed):
    rng = np.random.default_rng(seed)
    width = rows.shape[1]
    match kind:
        case "translation":
            return rows + 10.0 * rng.standard_normal(width)
        case "scaling":
            return rows * -(10.0 ** rng.uniform(-3, 3))
        case "permutation":
            return np.roll(rows, 1, axis=1)
        case "feature_scaling":
            return rows * rng.permutation(np.geomspace(1.0, CONDITION, width))
        case "rotation":
            return rows @ orthogonal(width, seed)
    stretch = np.geomspace(1.0, CONDITION, width)
    return rows @ (orthogonal(width, seed) * stretch) @ orthogonal(width, seed + 1)


def score(name, X, Y):
    """The index on the second half of the rows; held-out ones with a map fitted on the first."""
    half = len(X) // 2
    train, pair = (
        algebra.PairMoments.from_rows(X[rows], Y[rows]) for rows in (slice(half), slice(half, None))
    )
    return algebra.evaluate(name, pair, train=train).value


def tolerance(value):
    return 100 * EPS * (5.0 * CONDITION) ** 2 * max(1.0, abs(value))  # c·eps·cond²


@pytest.mark.parametrize("kind", TRANSFORMATIONS)
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("name", ALL)
@FEW
@given(seed=SEEDS)
def test_invariant_exactly_where_declared(name, side, kind, seed):
    index = algebra.index_named(name).measure
    X, Y = related(n=120, p=6, q=5, seed=seed, noise=0.5)
    before = score(name, X, Y)
    if side == "source":
        after, declared = score(name, transform(kind, X, seed), Y), index.source_invariances
    else:
        after, declared = score(name, X, transform(kind, Y, seed)), index.target_invariances
    if kind in declared:
        assert abs(after - before) <= tolerance(before)
    else:
        assert abs(after - before) > 1e-7


@pytest.mark.parametrize("name", ALL)
@FEW
@given(seed=SEEDS)
def test_symmetric_exactly_where_declared(name, seed):
    X, Y = related(n=120, p=6, q=5, seed=seed)
    difference = abs(score(name, X, Y) - score(name, Y, X))
    if algebra.index_named(name).measure.symmetric:
        assert difference <= tolerance(1.0)
    else:
        assert difference > 1e-7


@pytest.mark.parametrize("name", ALL)
@FEW
@given(seed=SEEDS, p=st.integers(1, 7), q=st.integers(1, 7), n=st.integers(40, 60))
def test_in_range_and_indifferent_to_the_order_of_the_samples(name, seed, p, q, n):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, p)) + 1.0, rng.standard_normal((n, q)) * 3.0
    value = score(name, X, Y)
    low, high = algebra.index_named(name).measure.range
    assert low <= value <= high
    half = n // 2
    order = np.concatenate([rng.permutation(half), half + rng.permutation(n - half)])
    # a single column's noise leaves √eps at the ends of arccos, hence the looser bound
    assert score(name, X[order], Y[order]) == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_sees_one_sided_shuffling(name):
    X, Y = related(n=400, noise=0.2)
    shuffled = score(name, X, Y[np.random.default_rng(0).permutation(len(Y))])
    if algebra.index_named(name).measure.larger_is_more_similar:
        assert score(name, X, Y) > shuffled + 0.05
    else:
        assert score(name, X, Y) < 0.8 * shuffled


def test_which_indices_are_metrics():
    assert [name for name, index in algebra.INDICES.items() if index.measure.metric] == [
        "procrustes_angle",
        "gulp",
    ]


@pytest.mark.parametrize("distance", [algebra.procrustes_angle, algebra.gulp])
@FEW
@given(seed=SEEDS)
def test_declared_metrics_keep_the_triangle_inequality(distance, seed):
    rng = np.random.default_rng(seed)
    A, B, C = (rng.standard_normal((20, w)) for w in (3, 5, 4))
    assert distance(A, C) <= distance(A, B) + distance(B, C) + 1e-12


def test_the_squared_distance_is_no_metric():
    """Three directions 0°, 45° and 90° apart: the squares are .59, .59 and 2."""
    A = np.array([[1.0], [-1.0], [0.0], [0.0]])
    C = np.array([[0.0], [0.0], [1.0], [-1.0]])
    B = A + C
    assert algebra.procrustes(A, C) > algebra.procrustes(A, B) + algebra.procrustes(B, C)


def test_names_and_their_own_key_agree():
    assert all(name == index.name for name, index in algebra.INDICES.items())
    assert [name for name in OF_MOMENTS if algebra.INDICES[name].measure.independent_rows] == ["cka"]
    assert all(index.measure.held_out == name.startswith("dm_") for name, index in algebra.INDICES.items())
    assert algebra.INDICES["pwcca"].measure.invariances == {"translation", "scaling", "permutation"}


def test_an_unknown_name_gets_the_nearest_ones():
    X, Y = related()
    with pytest.raises(UnknownNameError, match="procrustes_angle") as caught:
        algebra.evaluate("procrustes_angel", algebra.PairMoments.from_rows(X, Y))
    assert "Did you mean 'procrustes_angle'" in caught.value.remedy
    with pytest.raises(UnknownNameError, match="stitchpipe indices"):
        algebra.index_named("zzz")


@pytest.mark.parametrize("name", ["dm_r2", "dm_struct"])
def test_a_held_out_index_refuses_to_fit_on_what_it_scores(name):
    with pytest.raises(algebra.AlgebraError, match="moments of other rows to fit a map on"):
        algebra.evaluate(name, algebra.PairMoments.from_rows(*related()))
