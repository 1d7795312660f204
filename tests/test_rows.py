"""Views and grids: every reshaping is pinned to a loop, the resize to torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.rows import ViewError, grid_label, grid_of, result_grid, rows_per_sample, to_rows, width_of


def block(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_positions_are_rows_and_channels_are_features():
    images = block(3, 5, 2, 4)
    rows = to_rows(images, "positions")
    assert rows.shape == (3 * 2 * 4, 5)
    for sample in range(3):
        for y in range(2):
            for x in range(4):
                np.testing.assert_array_equal(rows[sample * 8 + y * 4 + x], images[sample, :, y, x])


def test_flatten_puts_features_first():
    images = block(3, 5, 2, 4)
    np.testing.assert_array_equal(to_rows(images, "flatten"), images.reshape(3, -1))


@pytest.mark.parametrize(("shape", "axes"), [((3, 5, 2, 4), (2, 3)), ((3, 7, 5), 1), ((3, 5), ())])
def test_pooled_is_the_mean_over_positions(shape, axes):
    images = block(*shape)
    np.testing.assert_allclose(
        to_rows(images, "pooled"), images.astype(np.float64).mean(axis=axes), rtol=1e-14
    )


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    to=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_the_resize_is_torchs_bilinear_one(size, to):
    images = np.random.default_rng(1).normal(size=(2, 3, *size))
    ours = to_rows(images, "positions", to).reshape(2, *to, 3).transpose(0, 3, 1, 2)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(images), size=to, mode="bilinear", align_corners=False, antialias=False
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


@pytest.mark.parametrize("view", ["positions", "pooled", "flatten"])
@pytest.mark.parametrize("shape", [(5, 2, 4), (7, 5), (5,)])
def test_widths_and_row_counts_are_what_rows_have(view, shape):
    rows = to_rows(block(3, *shape), view)
    grid = result_grid(view, shape)
    assert rows.shape == (3 * rows_per_sample(view, grid), width_of(shape, view))
    assert rows.dtype == np.float64


def test_grids_have_names():
    assert grid_label(grid_of((5, 8, 4))) == "8x4"
    assert grid_label(grid_of((65, 192))) == "65"
    assert grid_label(result_grid("pooled", (5, 8, 8))) == "1x1"
    assert grid_label(result_grid("positions", (5, 8, 4))) == "8x4"


@pytest.mark.parametrize("view", ["pooled", "flatten"])
def test_rows_that_are_images_have_no_grid(view):
    """Such rows are a layer's own, whatever it is compared with: widths may differ, nothing is resized."""
    images = block(3, 5, 4, 4)
    assert result_grid(view, (7, 2, 2)) == ()
    np.testing.assert_array_equal(to_rows(images, view, ()), to_rows(images, view))
    assert width_of((5, 4, 4), "flatten") == 80


@pytest.mark.parametrize("shape", [(7, 5), (5,)])
def test_only_images_are_resized(shape):
    with pytest.raises(ViewError, match="pooled"):
        to_rows(block(3, *shape), "positions", (4, 4))


def test_a_representation_of_five_axes_is_refused():
    with pytest.raises(ViewError, match="shape"):
        to_rows(block(2, 3, 4, 5, 6), "positions")
