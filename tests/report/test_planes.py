"""Numbers as codes: what is decoded is what was measured, to the digits that are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stitchpipe.report.matrices import Layer, Matrix
from stitchpipe.report.overview import COARSE, coarse, of_models
from stitchpipe.report.planes import BLOCK, decimals_of, planes
from tests.report import read_page


def matrix(values, *, beside=None, states=None, reasons=()):
    return Matrix(
        index="cka",
        view="pooled",
        title="CKA",
        values=values,
        beside=beside or {},
        states=np.ones(values.shape, np.uint16) if states is None else states,
        reasons=reasons,
        n_samples=10,
        lowest=0.0,
        highest=1.0,
        larger_is_more_similar=True,
    )


class Decoded:
    """A matrix as a page would have it, with the page's own description around it."""

    def __init__(self, made):
        self.blocks = {f"0-{plane.name}-{at}": data for plane in made for at, data in plane.blocks().items()}
        told = {
            plane.name: {**plane.about, "symmetric": plane.symmetric, "bytes": plane.codes.dtype.itemsize}
            for plane in made
        }
        codes = {"block": BLOCK, "firstReason": 60_001, "beyond": 65_534, "nothing": 65_535, "noLimit": 255}
        layers = [""] * len(made[0].codes)
        self.about = {"axis": {"layers": layers}, "codes": codes, "measures": [{"planes": told}]}


def decoded(held, *, symmetric=False):
    made = planes(held, symmetric=symmetric)
    return Decoded(made), {plane.name: plane for plane in made}


numbers = st.one_of(
    st.floats(-1, 1), st.floats(0, 7), st.floats(-1e6, 1e6), st.floats(0, 1e-3), st.just(float("nan"))
)


@given(arrays(np.float64, (6, 6), elements=numbers))
def test_every_number_comes_back_to_the_digits_that_are_shown(values):
    states = np.where(np.isnan(values), 0, 1).astype(np.uint16)
    page, made = decoded(matrix(values, states=states))
    about = made["value"].about
    back = read_page.values(page, 0)
    listed = {(i, j) for i, j, _ in about.get("beyond", [])}
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    for at in np.argwhere(~np.isnan(values)):
        i, j = at.tolist()
        half = 5e-5 * abs(values[i, j]) if (i, j) in listed else 0.5 / about["divisor"]
        assert abs(back[i, j] - values[i, j]) <= half * (1 + 1e-9) + 1e-300


def test_a_few_numbers_far_away_do_not_coarsen_the_others():
    values = np.random.default_rng(0).random((40, 40))
    values[3, 4] = -1e6
    page, made = decoded(matrix(values))
    assert made["value"].about["decimals"] == 4
    assert made["value"].about["beyond"] == [[3, 4, -1e6]]
    assert np.abs(read_page.values(page, 0) - values).max() <= 0.5e-4 + 1e-12


@pytest.mark.parametrize(
    ("largest", "decimals"), [(1.0, 4), (1.9, 4), (3.1, 3), (0.05, 5), (250.0, 1), (0.0, 4)]
)
def test_four_digits_of_the_large_numbers_are_shown(largest, decimals):
    assert decimals_of(np.full((3, 3), largest)) == decimals


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_intervals_are_never_narrower_than_they_are(seed, biased):
    generator = np.random.default_rng(seed)
    values = generator.random((7, 7))
    width = generator.random((7, 7)) ** 4
    # The interval of what is corrected for its bias need not hold the number.
    shift = width * 1.5 if biased else 0.0
    low, high = (values - width + shift).astype(np.float32), (values + width + shift).astype(np.float32)
    low[0, 0] = high[0, 0] = np.nan
    page, _ = decoded(matrix(values, beside={"low": low, "high": high}))
    lower, upper = (read_page.values(page, 0, name) for name in ("low", "high"))
    assert np.isnan(lower[0, 0])
    assert np.isnan(upper[0, 0])
    lower[0, 0] = upper[0, 0] = low[0, 0] = high[0, 0] = 0.0
    assert (lower <= low + 1e-6).all()
    assert (upper >= high - 1e-6).all()
    reach = max(float(np.abs(values - low).max()), float(np.abs(high - values).max()))
    assert (low - lower).max() < 0.02 * reach + 2e-4


def test_p_values_are_fractions_of_the_permutations():
    p = (1 + np.random.default_rng(1).integers(0, 1000, (9, 9))) / 1001
    p[0, 0] = 1 / 1001
    page, made = decoded(matrix(np.zeros((9, 9)), beside={"p_family": p.astype(np.float32)}))
    assert made["p_family"].about["divisor"] == 1001
    np.testing.assert_allclose(read_page.values(page, 0, "p_family"), p, atol=1e-12)


@pytest.mark.parametrize("size", [5, BLOCK + 3])
def test_symmetric_planes_are_kept_once_where_they_are(size):
    values = np.random.default_rng(2).random((size, size))
    both = (values + values.T) / 2
    page, made = decoded(matrix(both), symmetric=True)
    assert made["value"].symmetric
    np.testing.assert_allclose(read_page.values(page, 0), both, atol=0.5e-4)
    whole = sum(map(len, decoded(matrix(both))[0].blocks.values()))
    assert sum(map(len, page.blocks.values())) < 0.6 * whole + 40
    # After a resize a symmetric index depends on which side was resized.
    page, made = decoded(matrix(values), symmetric=True)
    assert not made["value"].symmetric
    np.testing.assert_allclose(read_page.values(page, 0), values, atol=0.5e-4)


def test_unmeasured_undefined_and_infinite_are_told_apart():
    values = np.array([[0.5, np.nan, np.nan], [np.inf, 0.25, 0.75], [0.1, 0.2, 0.3]])
    states = np.array([[1, 0, 2], [1, 1, 1], [1, 1, 1]], np.uint16)
    page, _ = decoded(matrix(values, states=states, reasons=("constant: no variance",)))
    back = read_page.values(page, 0)
    assert np.isnan(back[0, 1:]).all()
    assert np.isnan(back[1, 0])
    assert read_page.reasons(page, 0) == {(0, 2): "constant: no variance", (1, 0): "not a finite number"}


def test_models_are_as_alike_as_the_best_matches_of_their_layers():
    axis = [Layer("A", "1"), Layer("A", "2"), Layer("B", "1"), Layer("B", "2")]
    values = np.array([[1, 0.2, 0.9, 0.4], [0.3, 1, 0.5, 0.7], [0.9, 0.5, 1, 0.1], [np.nan] * 4])
    models = of_models(matrix(values), axis)
    np.testing.assert_allclose(models, [[0.25, 0.8], [0.9, 0.1]])
    far = of_models(replace(matrix(values), larger_is_more_similar=False), axis)
    np.testing.assert_allclose(far[0], [0.25, (0.4 + 0.5) / 2])


def test_coarse_maps_are_means_over_squares():
    size = 2 * COARSE + 1
    values = np.arange(size**2, dtype=float).reshape(size, size)
    values[0, 0] = np.nan
    means, side = coarse(values)
    assert side == 3
    assert means.shape == (-(-size // 3),) * 2
    assert means[0, 0] == pytest.approx(np.nanmean(values[:3, :3]))
    assert means[-1, -1] == pytest.approx(values[-3:, -3:].mean())
