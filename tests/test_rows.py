"""Views and grids: every reshaping is pinned to a loop, the resize to torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.rows import (
    ViewError,
    grid_label,
    grid_of,
    n_positions,
    result_grid,
    rows_per_sample,
    to_rows,
    token_grid,
    width_of,
)


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
    assert grid_label(grid_of((65, 192))) == "1+8x8"
    assert grid_label(grid_of((49, 192))) == "0+7x7"
    assert grid_label(result_grid("pooled", (5, 8, 8))) == "1x1"
    assert grid_label(result_grid("positions", (5, 8, 4))) == "8x4"


@pytest.mark.parametrize("view", ["pooled", "flatten"])
def test_rows_that_are_images_have_no_grid(view):
    """Such rows are a layer's own, whatever it is compared with: widths may differ, nothing is resized."""
    images = block(3, 5, 4, 4)
    assert result_grid(view, (7, 2, 2)) == ()
    np.testing.assert_array_equal(to_rows(images, view, ()), to_rows(images, view))
    assert width_of((5, 4, 4), "flatten") == 80


def test_vectors_have_no_positions_to_resize():
    with pytest.raises(ViewError, match="pooled"):
        to_rows(block(3, 5), "positions", (4, 4))


@pytest.mark.parametrize(
    ("count", "image", "grid"),
    [
        (197, (224, 224), (1, 14, 14)),
        (198, (1, 1), (2, 14, 14)),
        (49, (32, 32), (0, 7, 7)),
        (33, (64, 32), (1, 8, 4)),
        (7, (3, 5), (3, 2, 2)),
        (1, (32, 64), (0, 1, 1)),
    ],
)
def test_tokens_lie_on_the_image_as_its_sides_do(count, image, grid):
    found = token_grid(count, image)
    assert found == grid
    assert n_positions(found) == count


def patches(tokens, grid):
    """Return the patches of ``(n, T, D)`` as images."""
    k, height, width = grid
    return tokens[:, k:].reshape(len(tokens), height, width, -1).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((1, 4, 4), (1, 6, 6)),
        ((1, 4, 2), (1, 2, 4)),
        ((0, 3, 3), (1, 2, 2)),
        ((2, 3, 3), (1, 4, 4)),
        ((5, 3, 3), (0, 4, 4)),
    ],
)
def test_patches_are_resized_as_images_and_tokens_without_a_place_follow_the_declared_rule(source, target):
    tokens = block(3, n_positions(source), 4)
    found = to_rows(tokens, "positions", target, tokens=source).reshape(3, -1, 4)
    images = patches(tokens, source)
    wanted = to_rows(images, "positions", target[1:]).reshape(3, -1, 4)
    np.testing.assert_allclose(found[:, target[0] :], wanted, atol=1e-12)
    if source[0] == target[0]:
        np.testing.assert_array_equal(found[:, : target[0]], tokens[:, : target[0]])
    else:
        mean = images.mean(axis=(2, 3), dtype=np.float64)[:, None].repeat(target[0], axis=1)
        np.testing.assert_allclose(found[:, : target[0]], mean, atol=1e-12)


def test_images_become_tokens_and_tokens_images():
    images, tokens = block(3, 4, 6, 2), block(3, 10, 4)
    as_tokens = to_rows(images, "positions", (1, 3, 3)).reshape(3, 10, 4)
    np.testing.assert_allclose(as_tokens[:, 0], images.mean(axis=(2, 3), dtype=np.float64), atol=1e-12)
    np.testing.assert_allclose(
        as_tokens[:, 1:].reshape(-1, 4), to_rows(images, "positions", (3, 3)), atol=1e-12
    )
    as_images = to_rows(tokens, "positions", (6, 2))
    np.testing.assert_allclose(
        as_images, to_rows(patches(tokens, (1, 3, 3)), "positions", (6, 2)), atol=1e-12
    )


def test_a_representation_of_five_axes_is_refused():
    with pytest.raises(ViewError, match="shape"):
        to_rows(block(2, 3, 4, 5, 6), "positions")
