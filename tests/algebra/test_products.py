"""Rows multiplied in float32, with means and sums in float64: what that costs, and what it must not."""

import numpy as np
import pytest
import torch

from stitchpipe import algebra
from stitchpipe.algebra import CentredRows, RowsError, UndefinedIndexError
from stitchpipe.in_memory import compare_arrays
from tests.algebra.cases import related

FUNCTIONS = {
    "cka": algebra.cka,
    "cka_biased": lambda X, Y, **options: algebra.cka(X, Y, debiased=False, **options),
    "cca": algebra.cca,
    "cca_sq": algebra.cca_sq,
    "svcca": algebra.svcca,
    "pwcca": algebra.pwcca,
    "procrustes": algebra.procrustes,
    "procrustes_angle": algebra.procrustes_angle,
    "nbs": algebra.nbs,
    "gulp": algebra.gulp,
    "ridge_cca": algebra.ridge_cca,
    "dm_r2": lambda X, Y, **options: algebra.direct_matching(X, Y, **options).r2(X, Y, **options),
    "dm_struct": lambda X, Y, **options: algebra.direct_matching(X, Y, **options).struct_error(
        X, Y, **options
    ),
}
# Two blocks of rows are added up, the second of them not whole.
SINGLE = tuple(rows.astype(np.float32) for rows in related(n=9000, p=16, q=11))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_of_float32_products_are_below_a_millionth(name, dtype):
    X, Y = (rows.astype(dtype) for rows in SINGLE)
    exact = FUNCTIONS[name](X, Y)
    found = FUNCTIONS[name](X, Y, products="float32")
    assert found == pytest.approx(exact, rel=0, abs=1e-6)
    assert found != exact


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_large_mean_costs_no_more_than_it_has_cost_the_rows(name):
    X, Y = (rows + np.float32(1000.0) for rows in SINGLE)
    assert FUNCTIONS[name](X, Y, products="float32") == pytest.approx(FUNCTIONS[name](X, Y), rel=0, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_whose_squares_do_not_fit_into_float32(name, scale):
    X, Y = (
        rows[:900] * np.float32(factor) for rows, factor in zip(SINGLE, (scale, 1.0 / scale), strict=True)
    )
    assert FUNCTIONS[name](X, Y, products="float32") == pytest.approx(
        FUNCTIONS[name](X, Y), rel=1e-5, abs=1e-6
    )


def test_a_map_has_the_scale_of_its_rows():
    X, Y = SINGLE[0] * np.float32(1e-30), SINGLE[1] * np.float32(1e30)
    exact, found = algebra.direct_matching(X, Y), algebra.direct_matching(X, Y, products="float32")
    np.testing.assert_allclose(found.W, exact.W, rtol=0, atol=1e-5 * np.abs(exact.W).max())
    np.testing.assert_allclose(found.b, exact.b, rtol=0, atol=1e-5 * np.abs(exact.b).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dead_columns_stay_dead(dtype):
    dead = [np.full(9000, value) for value in (0.1, -7e5, 0.0)]
    X = np.column_stack([SINGLE[0], *dead]).astype(dtype)
    rows = CentredRows.of(X, products="float32")
    assert not rows.moments.comoment[:, 16:].any()
    assert algebra.direct_matching(X, SINGLE[1], products="float32").rank == 16
    for name, function in FUNCTIONS.items():
        if not name.startswith("dm"):
            with pytest.raises(UndefinedIndexError, match="target that varies") as caught:
                function(X, np.full((9000, 3), 0.1, dtype=dtype), products="float32")
            assert caught.value.status == "constant"


def test_a_representation_with_itself_stays_in_range():
    X = SINGLE[0]
    assert algebra.cka(X, X.copy(), products="float32") == pytest.approx(1.0, abs=1e-6)
    assert 0.0 <= algebra.procrustes(X, X.copy(), products="float32") <= 1e-6
    assert algebra.cca(X, X.copy(), products="float32") == pytest.approx(1.0, abs=1e-6)


def test_what_is_not_finite_is_found_in_either_type():
    for broken in (np.nan, np.inf):
        X = SINGLE[0].copy()
        X[8500, 3] = broken
        X[8501, 3] = -broken
        for products in ("float32", "float64"):
            with pytest.raises(RowsError, match="X: expected finite values, found 2 NaN or infinite"):
                algebra.procrustes(X, SINGLE[1], products=products)


def test_another_type_is_refused():
    with pytest.raises(RowsError, match="'float64' or 'float32', found 'float16'"):
        algebra.cka(*SINGLE, products="float16")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["cka", "procrustes", "pwcca", "dm_r2"])
def test_tensors(name, dtype):
    X, Y = (torch.tensor(rows[:400]).to(dtype) for rows in SINGLE)
    exact = FUNCTIONS[name](X.double().numpy(), Y.double().numpy())
    assert FUNCTIONS[name](X, Y, products="float32") == pytest.approx(exact, rel=0, abs=1e-5)
    wide = X[:9], Y[:9]
    assert FUNCTIONS["cka"](*wide, products="float32") == pytest.approx(
        FUNCTIONS["cka"](*(part.double().numpy() for part in wide)), rel=1e-10
    )


def test_a_comparison_takes_the_option_too():
    arrays = dict(zip("ab", SINGLE, strict=True))
    names = ["cka", "procrustes", "pwcca", "dm_r2"]
    exact = compare_arrays(arrays, indices=names)["value"].to_numpy(float)
    found = compare_arrays(arrays, indices=names, products="float32")["value"].to_numpy(float)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6)
    assert (found != exact).any()
