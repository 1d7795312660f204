"""Soft matching: pinned to a linear programme, to SciPy's and POT's solvers, and to closed cases."""

import os
import subprocess
import sys

import numpy as np
import ot
import pytest
import scipy.optimize
from sklearn.preprocessing import StandardScaler

from stitchpipe import algebra, compare
from stitchpipe.algebra import Analysis, MomentsError, PairMoments, UndefinedIndexError
from stitchpipe.algebra.batches import evaluate, evaluate_both
from stitchpipe.algebra.indices.soft_matching import soft_match
from stitchpipe.algebra.transport import best_transport
from tests import oracles_optimised
from tests.algebra.batches import stacked
from tests.algebra.cases import conditioned, orthogonal, related

TIGHT = 1e-10


def wide(n, *widths):
    """Rows of more features than there are samples, which share a part."""
    rng = np.random.default_rng(sum(widths))
    shared = rng.standard_normal((n, 4))
    return tuple(shared @ rng.standard_normal((4, w)) + rng.standard_normal((n, w)) + 1.0 for w in widths)


PAIRS = {
    "wider source": related(n=80, p=9, q=6, seed=0),
    "wider target": related(n=80, p=4, q=10, seed=10),
    "equal widths": related(n=80, p=7, q=7, seed=20),
    "one feature": related(n=80, p=1, q=5, seed=25),
    "unrelated": (conditioned(60, 6, 4.0, 30), conditioned(60, 5, 4.0, 40)),
    "wider than there are rows": wide(9, 14, 12),
}
SOFT = algebra.index_named("soft_matching")


def with_dead(rows, *fills):
    return np.column_stack([rows, *(np.full(len(rows), fill) for fill in fills)])


@pytest.mark.parametrize("pair", PAIRS)
def test_it_is_the_linear_programme(pair):
    X, Y = PAIRS[pair]
    expected = oracles_optimised.soft_matching(X, Y)
    assert algebra.soft_matching(X, Y) == pytest.approx(expected, rel=TIGHT)
    assert algebra.evaluate("soft_matching", PairMoments.from_rows(X, Y)).value == pytest.approx(
        expected, rel=TIGHT
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_against_libraries(pair):
    """Standardised by scikit-learn; POT's solver for squared distances, which are 2 − 2ρ."""
    X, Y = (StandardScaler().fit_transform(rows) / np.sqrt(len(rows)) for rows in PAIRS[pair])
    expected = 1.0 - ot.emd2([], [], ot.dist(X.T, Y.T)) / 2.0
    assert algebra.soft_matching(*PAIRS[pair]) == pytest.approx(expected, rel=1e-9)


def test_of_equal_widths_it_is_the_best_permutation():
    X, Y = PAIRS["equal widths"]
    correlations = np.corrcoef(X.T, Y.T)[:7, 7:]
    rows, columns = scipy.optimize.linear_sum_assignment(-correlations)
    assert algebra.soft_matching(X, Y) == pytest.approx(correlations[rows, columns].mean(), rel=1e-12)
    assert best_transport(correlations, index="") == pytest.approx(
        float((ot.emd([], [], 1.0 - correlations) * correlations).sum()), rel=1e-12
    )


def test_closed_cases():
    X = conditioned(60, 6, 3.0, 1)
    shuffled = X[:, np.random.default_rng(0).permutation(6)] * np.geomspace(0.1, 50.0, 6) - 7.0
    assert algebra.soft_matching(X, shuffled) == pytest.approx(1.0, abs=1e-13)
    # Every feature twice: half of each goes to either copy.
    assert algebra.soft_matching(X, np.hstack([X, 3.0 * X])) == pytest.approx(1.0, abs=1e-13)
    # Two of the three columns of Y are columns of X and the third is orthogonal to all.
    H = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]])
    assert algebra.soft_matching(H[:, :2], H) == pytest.approx(2 / 3, abs=1e-14)
    assert algebra.soft_matching(H[:, :1], -H[:, :1]) == pytest.approx(-1.0, abs=1e-14)


def test_a_rotation_is_seen_where_no_other_shape_index_sees_it():
    X = conditioned(200, 8, 1.0, 3)
    rotated = X @ orthogonal(8, 5)
    assert algebra.procrustes(X, rotated) == pytest.approx(0.0, abs=1e-12)
    assert algebra.soft_matching(X, rotated) < 0.8


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_features_that_do_not_vary_are_left_out_and_counted(dtype):
    X, Y = (rows.astype(dtype) for rows in related(n=80, p=6, q=4))
    dead = with_dead(X, 0.1, 0.0).astype(dtype), with_dead(Y, -1e4).astype(dtype)
    expected = SOFT.number(Analysis(PairMoments.from_rows(X, Y)))
    eps = float(np.finfo(dtype).eps)
    number = SOFT.number(Analysis(PairMoments.from_rows(*dead), storage_eps=eps))
    assert number.value == pytest.approx(expected.value, rel=1e-12)
    assert expected.reason is None
    assert number.reason == "left out, because they do not vary: 3 features of both layers together"
    told = oracles_optimised.soft_matching(*(rows.astype(np.float64) for rows in dead))
    assert algebra.soft_matching(*dead) == pytest.approx(told, rel=1e-9)


def test_variation_below_the_precision_of_storage_is_none():
    """A mean of 1000 in float16 is spaced by half a unit: what is below it is noise of rounding."""
    X, Y = related(n=80, p=6, q=4)
    quiet = np.column_stack([X, 1000.0 + 0.1 * Y[:, 0]])
    half = 2.0**-10
    assert soft_match(PairMoments.from_rows(quiet, Y), storage_eps=(half, half))[1] == 1
    assert soft_match(PairMoments.from_rows(quiet, Y))[1] == 0
    with pytest.raises(UndefinedIndexError, match="none of 1 at a storage precision") as refused:
        soft_match(PairMoments.from_rows(X, quiet[:, -1:]), storage_eps=(2.0**-52, half))
    assert refused.value.status == "constant"
    assert "target" in refused.value.reason


def test_a_remark_stands_in_both_directions_of_a_batch():
    rows = [related(n=60, p=5, q=5, seed=seed) for seed in (0, 1)]
    pairs = [
        PairMoments.from_rows(*rows[0]),
        PairMoments.from_rows(with_dead(rows[1][0][:, :4], 2.0), rows[1][1]),
    ]
    indices = [algebra.index_named(name) for name in ("cka", "soft_matching")]
    forth, back = evaluate_both(stacked(pairs), indices)
    for numbers in (forth, back, evaluate(stacked(pairs), indices)):
        assert numbers.number(1, 0).reason is None
        assert "1 features" in numbers.number(1, 1).reason
        assert numbers.number(0, 1).reason is None
    assert back.values[1].tolist() == forth.values[1].tolist()


def test_wide_arrays_in_memory_are_matched_feature_by_feature():
    X, Y = wide(12, 30, 25)
    frame = compare({"wide": X, "wider": Y}, indices=["soft_matching"]).set_index(["source", "target"])
    assert frame.loc[("wide", "wider"), "value"] == pytest.approx(
        oracles_optimised.soft_matching(X, Y), rel=TIGHT
    )
    assert frame.loc[("wider", "wide"), "value"] == pytest.approx(
        oracles_optimised.soft_matching(X, Y), rel=TIGHT
    )
    assert frame.loc[("wide", "wide"), "value"] == pytest.approx(1.0, abs=1e-12)


def test_coordinates_without_their_features_are_refused():
    X, Y = related(n=40, p=5, q=5)
    batch = stacked([PairMoments.from_rows(X, Y)])
    narrowed = batch.x.__class__(
        batch.x.n, batch.x.mean, batch.x.comoment, batch.x.storage_eps, largest=np.array([3.0])
    )
    with pytest.raises(MomentsError, match="not invariant to rotation"):
        soft_match(PairMoments(narrowed.moments(0), batch.y.moments(0), batch.xy[0]))


def test_no_optimum_is_no_number(monkeypatch):
    monkeypatch.setattr("stitchpipe.algebra.transport.MOST_PIVOTS", 1)
    with pytest.warns(UserWarning, match="numItermax"), pytest.raises(UndefinedIndexError) as refused:
        best_transport(np.random.default_rng(0).random((9, 7)), index="soft_matching")
    assert refused.value.status == "not_converged"


def test_the_solver_brings_no_network_library_along():
    """And leaves the process's environment as it was."""
    code = (
        "import os, sys, numpy; from stitchpipe.algebra.transport import best_transport; kept = dict(os.environ);"
        "best_transport(numpy.eye(3)[:2], index='');"
        "sys.exit('torch' in sys.modules or kept != dict(os.environ))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ))
    assert found.returncode == 0
