"""Rank-deficient, constant, too few, not finite: a defined answer or a clear refusal, never NaN."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe import algebra
from stitchpipe.algebra import AlgebraError, PairMoments, RowsError, UndefinedIndexError
from tests import oracles
from tests.algebra.cases import ALL, conditioned, related

IN_SAMPLE = [name for name in ALL if not algebra.index_named(name).measure.held_out]


def value(name, X, Y):
    pair = PairMoments.from_rows(X, Y)
    return algebra.evaluate(name, pair, train=pair).value


def value_or_status(name, X, Y):
    try:
        return value(name, X, Y), "ok"
    except UndefinedIndexError as undefined:
        return None, undefined.status


@pytest.mark.parametrize("fill", [0.0, 0.1, -1e6])
@pytest.mark.parametrize("name", IN_SAMPLE)
def test_a_constant_side_is_undefined(name, fill):
    X, constant = related(n=50)[0], np.full((50, 3), fill)
    for pair, side in (((X, constant), "target"), ((constant, X), "source")):
        with pytest.raises(UndefinedIndexError) as caught:
            value(name, *pair)
        assert caught.value.status == "constant"
        assert side in caught.value.reason
        assert name in str(caught.value)


def test_a_constant_target_has_no_r2_and_a_zero_target_no_structural_error():
    X, constant = related(n=50)[0], np.full((50, 3), 0.1)
    fitted = algebra.direct_matching(X, constant)
    pair = PairMoments.from_rows(X, constant)
    for refused in (lambda: fitted.r2(X, constant), lambda: fitted.r2_from_moments(pair)):
        with pytest.raises(UndefinedIndexError, match="dm_r2") as caught:
            refused()
        assert caught.value.status == "constant"
    assert fitted.struct_error(X, constant) <= 1e-15
    zero = PairMoments.from_rows(X, 0 * constant)
    for refused in (
        lambda: fitted.struct_error(X, 0 * constant),
        lambda: fitted.struct_error_from_moments(zero),
    ):
        with pytest.raises(UndefinedIndexError, match="zero everywhere"):
            refused()


@pytest.mark.parametrize("name", ALL)
def test_a_single_row_is_too_few(name):
    X, Y = related(n=50)
    train, single = PairMoments.from_rows(X, Y), PairMoments.from_rows(X[:1], Y[:1])
    if "_struct" in name:
        assert algebra.evaluate(name, single, train=train).value >= 0.0
        return
    with pytest.raises(UndefinedIndexError) as caught:
        algebra.evaluate(name, single, train=train)
    assert caught.value.status == "too_few_rows"


def test_debiased_cka_wants_four_rows_and_biased_does_not():
    X, Y = (rows[:4] for rows in related(n=40))
    assert algebra.cka(X, Y) == pytest.approx(oracles.cka(X, Y), rel=1e-9)
    with pytest.raises(UndefinedIndexError) as caught:
        algebra.cka(X[:3], Y[:3])
    assert caught.value.status == "too_few_rows"
    assert 0 < algebra.cka(X[:3], Y[:3], debiased=False) <= 1


def test_debiased_cka_of_equidistant_rows_is_degenerate():
    with pytest.raises(UndefinedIndexError) as caught:
        algebra.cka(np.eye(7), conditioned(7, 3, 2.0, 0))
    assert caught.value.status == "degenerate"


@pytest.mark.parametrize("name", ["cca", "cca_sq", "svcca", "pwcca"])
@pytest.mark.parametrize(("p", "q", "defined"), [(10, 9, True), (12, 12, False), (25, 3, False)])
def test_correlations_forced_by_dimension_counting_are_refused(name, p, q, defined):
    """n = 20 rows span 19 dimensions once centred: ranks 10 and 9 just fit side by side."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, p)), rng.standard_normal((20, q))
    function = getattr(algebra, name)
    if defined:
        assert 0 < function(X, Y) < 1
        return
    with pytest.raises(UndefinedIndexError) as caught:
        function(X, Y)
    assert caught.value.status == "too_few_rows"
    assert "n − 1 = 19" in caught.value.expected


@pytest.mark.parametrize("name", ["cca", "cca_sq", "svcca", "pwcca"])
def test_duplicate_and_dead_columns_leave_correlations_in_range(name):
    """An eigenvalue test of > 0 gives ρ far above 1 here; the oracle works on the true rank."""
    X, Y = related(n=80, p=6, q=5)
    padded = np.column_stack([X, X[:, :3], X @ np.ones(6), np.zeros(80), np.full(80, 0.1)])
    assert getattr(algebra, name)(padded, Y) == pytest.approx(getattr(oracles, name)(padded, Y), rel=1e-9)
    rank = algebra.evaluate(name, PairMoments.from_rows(padded, Y)).rank
    assert rank is not None
    assert rank <= 5


def test_wide_rows_of_low_rank_have_canonical_correlations():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 4)) @ rng.standard_normal((4, 200))
    Y = rng.standard_normal((30, 5)) @ rng.standard_normal((5, 100)) + X[:, :100]
    for name in ("cca", "svcca", "pwcca"):
        assert getattr(algebra, name)(X, Y) == pytest.approx(getattr(oracles, name)(X, Y), rel=1e-9)


@given(
    n=st.integers(1, 12),
    p=st.integers(1, 6),
    q=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([1, 2, 3, 1000]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_anything_finite_gives_a_number_in_range_or_a_refusal(n, p, q, seed, levels, scale):
    """Few levels make constant, duplicate and dependent columns; n < p is frequent."""
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(0, levels, (n, p)) * scale, rng.integers(0, levels, (n, q)) / scale
    for name in ALL:
        index = algebra.index_named(name).measure
        found, status = value_or_status(name, X, Y)
        if found is None:
            assert status in {"constant", "too_few_rows", "degenerate"}
        else:
            assert math.isfinite(found)
            assert index.range[0] <= found <= index.range[1]


BAD = {
    "NaN": (np.array([[1.0], [math.nan]]), "1 NaN or infinite"),
    "infinite": (np.array([[math.inf], [-math.inf]]), "2 NaN or infinite"),
    "one-dimensional": (np.arange(2.0), "shape \\(2,\\)"),
    "three-dimensional": (np.zeros((2, 3, 4)), "shape \\(2, 3, 4\\)"),
    "no columns": (np.zeros((2, 0)), "shape \\(2, 0\\)"),
    "no rows": (np.zeros((0, 2)), "shape \\(0, 2\\)"),
    "complex": (np.ones((2, 1), dtype=complex), "complex128"),
    "text": (np.array([["a"], ["b"]]), "dtype <U1"),
    "objects": (np.array([[None], [1]], dtype=object), "dtype object"),
    "other row count": (np.zeros((3, 1)), "2 and 3 rows|3 and 2 rows"),
}
FUNCTIONS = (
    algebra.cka,
    algebra.cca,
    algebra.cca_sq,
    algebra.svcca,
    algebra.pwcca,
    algebra.procrustes,
    algebra.procrustes_angle,
    algebra.nbs,
    algebra.ridge_cca,
    algebra.gulp,
    algebra.direct_matching,
)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("kind", BAD)
def test_unusable_rows_are_refused_in_four_parts(kind, function):
    rows, found = BAD[kind]
    good = np.array([[1.0], [2.0]])
    for pair in ((rows, good), (good, rows)):
        with pytest.raises(RowsError, match=found) as caught:
            function(*pair)
        error = caught.value
        assert all((error.where, error.expected, error.found, error.remedy))
        assert isinstance(error, ValueError)


def test_lists_and_integers_are_taken_as_numbers():
    X = [[1, 2], [3, 5], [4, 4], [0, 1], [2, 2]]
    assert algebra.cka(X, X) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    "error",
    [
        RowsError(where="X", expected="a", found="b", remedy="c"),
        UndefinedIndexError(status="constant", where="cka", expected="a", found="b", remedy="c"),
    ],
)
def test_errors_cross_process_boundaries_whole(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
    assert isinstance(copy, AlgebraError)
