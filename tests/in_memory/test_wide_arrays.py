"""Arrays with more features than rows: compared in as many coordinates as there are rows, with the same numbers."""

from dataclasses import replace

import numpy as np
import pytest

from stitchpipe import algebra
from stitchpipe.algebra import Analysis, PairMoments
from stitchpipe.in_memory import arrays as arrays_module
from stitchpipe.in_memory import compare_arrays
from tests.algebra.cases import ALL

N = 30
NEAR_ZERO = 3e-7
"""What the root of a rounding error is, of distances that are the root of a difference."""


def rows(n, width, seed, rank=None):
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(1).standard_normal((200, 6))[:n]
    mixed = shared @ rng.standard_normal((6, width)) + 0.5 * rng.standard_normal((n, width)) + 2.0
    if rank is not None:
        mixed = mixed[:, :rank] @ rng.standard_normal((rank, width)) - 1.0
    return mixed


def with_dead(array):
    return np.column_stack([array, np.full(len(array), 0.1), np.zeros(len(array))])


CASES = {
    "wide": (rows(2 * N, 70, 0), rows(2 * N, 90, 1)),
    "square": (rows(2 * N, N, 2), rows(2 * N, N, 3)),
    "one more than rows": (rows(2 * N, N + 1, 4), rows(2 * N, N + 2, 5)),
    "wide and narrow": (rows(2 * N, 80, 6), rows(2 * N, 5, 7)),
    "wide for the fit": (rows(2 * N, N + 15, 8), rows(2 * N, 70, 9)),
    "low rank": (rows(2 * N, 70, 10, rank=4), rows(2 * N, 90, 11, rank=5)),
    "dead columns": (with_dead(rows(2 * N, 70, 12)), with_dead(rows(2 * N, 60, 13))),
    "constant": (rows(2 * N, 70, 14), np.full((2 * N, 65), 0.3)),
    "float32": tuple(rows(2 * N, width, 15, rank=6).astype(np.float32) for width in (70, 90)),
}


def expected_number(name, X, Y, fit):
    """From moments over the neurons themselves."""
    pair = PairMoments.from_rows(X, Y)
    train = pair if fit is None else PairMoments.from_rows(*fit)
    eps = (algebra.stored_spacing(X), algebra.stored_spacing(Y))
    return algebra.index_named(name).number(Analysis(pair, train, eps))


def tolerance(name, condition):
    squared = 1.0 if condition is None or np.isnan(condition) else condition**2
    root = NEAR_ZERO if name.startswith(("gulp", "procrustes_angle")) else 0.0
    return max(1e-10, 1e3 * 2.0**-52 * squared) + root


@pytest.mark.parametrize("held_out", [False, True], ids=["in sample", "held out"])
@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_moments_over_the_neurons(case, held_out):
    scored, fit = (
        {"a": X[part], "b": Y[part]} for X, Y in (CASES[case],) for part in (slice(N), slice(N, None))
    )
    fit = fit if held_out else None
    frame = compare_arrays(scored, indices=ALL, fit=fit)
    for record in frame.to_dict("records"):
        source, target, name = record["source"], record["target"], record["index"]
        on = None if fit is None else (fit[source], fit[target])
        expected = expected_number(name, scored[source], scored[target], on)
        where = (source, target, name)
        assert (record["status"], record["n_rows"]) == (expected.status, N), where
        assert (record["p"], record["q"]) == (scored[source].shape[1], scored[target].shape[1])
        if expected.value is None:
            assert record["reason"] == expected.reason
            continue
        condition = expected.extras.get("condition")
        allowed = tolerance(name, condition)
        assert record["value"] == pytest.approx(expected.value, rel=allowed, abs=allowed), where
        if condition is not None:
            assert record["rank"] == expected.extras["rank"], where
            assert record["condition"] == pytest.approx(condition, rel=1e-9), where


@pytest.mark.parametrize("held_out", [False, True])
def test_an_index_that_is_not_ours_sees_the_neurons_unless_it_is_indifferent_to_rotation(
    monkeypatch, held_out
):
    def columns(analysis, _):
        assert analysis.train is not None
        return float(analysis.pair.mean_x.shape[0])

    ours = algebra.index_named("cka_biased")
    added = {
        name: algebra.Index(
            replace(
                ours.measure, name=name, null=None, closed_null=False, source_invariances=frozenset(source)
            ),
            of_moments=columns,
        )
        for name, source in {"any_columns": ours.measure.source_invariances, "these_columns": ()}.items()
    }
    named = arrays_module.index_named
    monkeypatch.setattr(arrays_module, "index_named", lambda name: added.get(name) or named(name))
    scored, fit = (
        {"a": X[part], "b": Y[part]} for X, Y in (CASES["wide"],) for part in (slice(N), slice(N, None))
    )
    fit = fit if held_out else None
    alone = compare_arrays(scored, indices=["these_columns"], fit=fit)
    assert alone["value"].tolist() == [70.0, 70.0, 90.0, 90.0]
    names = (
        ["these_columns", "cka", "dm_r2"] if held_out else ["these_columns", "any_columns", "cka", "dm_r2"]
    )
    beside = compare_arrays(scored, indices=names, fit=fit).set_index("index")["value"]
    assert beside["these_columns"].tolist() == [70.0, 70.0, 90.0, 90.0]
    if not held_out:
        assert beside["any_columns"].tolist() == [N + 1.0] * 4


def test_no_matrix_of_the_width_squared_is_formed(monkeypatch):
    """Nothing that is decomposed has both sides longer than n + 2."""
    shapes = []
    for name in ("eigh", "eigvalsh", "svd", "svdvals"):
        plain = getattr(np.linalg, name)

        def noting(matrix, *args, _plain=plain, **options):
            shapes.append(matrix.shape)
            return _plain(matrix, *args, **options)

        monkeypatch.setattr(f"array_api_compat.numpy.linalg.{name}", noting)
    X, Y = rows(2 * N, 400, 0), rows(2 * N, 300, 1)
    compare_arrays({"a": X[:N], "b": Y[:N]}, indices=ALL, fit={"a": X[N:], "b": Y[N:]})
    compare_arrays({"a": X[:N], "b": Y[:N]}, indices=ALL)
    assert max(min(shape) for shape in shapes) <= N + 2


def test_each_array_is_factored_once_for_all_pairs(monkeypatch):
    counted = []
    plain = np.linalg.qr
    monkeypatch.setattr("numpy.linalg.qr", lambda *args, **kw: (counted.append(1), plain(*args, **kw))[1])
    compare_arrays(
        {name: rows(N, 60, seed) for seed, name in enumerate("abcd")}, indices=["cka", "procrustes"]
    )
    assert len(counted) == 4


def test_a_large_mean_of_wide_rows_costs_no_digits():
    X, Y = rows(N, 70, 0), rows(N, 90, 1)
    plain = compare_arrays({"a": X, "b": Y}, indices=["cka", "procrustes", "gulp"])
    moved = compare_arrays({"a": X + 1e6, "b": Y - 1e6}, indices=["cka", "procrustes", "gulp"])
    np.testing.assert_allclose(moved["value"], plain["value"], rtol=0, atol=NEAR_ZERO)
    assert (moved["status"] == "ok").all()
