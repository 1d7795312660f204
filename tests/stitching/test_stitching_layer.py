"""The stitching layer: resize, affine map, initialisations, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stitchpipe.algebra import AffineMap, direct_matching
from stitchpipe.rows import ViewError, grid_of, to_rows
from stitchpipe.stitching import StitchError, StitchingLayer

GRIDS = [
    ((4, 4), (8, 8)),
    ((8, 8), (2, 2)),
    ((7, 7), (4, 4)),
    ((3, 5), (6, 4)),
    ((1, 1), (3, 2)),
    ((5, 4), (5, 4)),
]


def random_map(p, q, seed=0):
    rng = np.random.default_rng(seed)
    return AffineMap(W=rng.standard_normal((q, p)), b=rng.standard_normal(q), rank=min(p, q), condition=1.0)


@pytest.mark.parametrize(("grid", "to_grid"), GRIDS)
def test_resize_is_that_of_the_rows_direct_matching_is_fitted_on(grid, to_grid):
    block = np.random.default_rng(0).standard_normal((6, 3, *grid)).astype("float32")
    layer = StitchingLayer.identity((3, *grid), (3, *to_grid))
    got = layer(torch.from_numpy(block)).detach().numpy()
    assert got.shape == (6, 3, *to_grid)
    np.testing.assert_allclose(
        to_rows(got, "positions"), to_rows(block, "positions", to_grid), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("p_q", [(3, 5), (5, 3)])
def test_images_are_resized_then_mapped_by_a_one_by_one_convolution(p_q):
    p, q = p_q
    fitted = random_map(p, q)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((4, p, 6, 3)).astype("float32"))
    plain = nn.Conv2d(p, q, 1)
    plain.weight.data = torch.from_numpy(fitted.W).float()[:, :, None, None]
    plain.bias.data = torch.from_numpy(fitted.b).float()
    wanted = plain(F.interpolate(x, size=(4, 4), mode="bilinear", align_corners=False, antialias=False))
    assert torch.equal(StitchingLayer.from_map((p, 6, 3), (q, 4, 4), fitted)(x), wanted)


@pytest.mark.parametrize("shape", [(7, 4), (4,)])
def test_tokens_and_vectors_are_mapped_feature_by_feature(shape):
    fitted = random_map(4, 6)
    block = np.random.default_rng(2).standard_normal((5, *shape)).astype("float32")
    layer = StitchingLayer.from_map(shape, (*shape[:-1], 6), fitted)
    wanted = fitted.predict(block.reshape(-1, 4).astype("float64")).reshape(5, *shape[:-1], 6)
    np.testing.assert_allclose(layer(torch.from_numpy(block)).detach().numpy(), wanted, rtol=0, atol=1e-5)


def test_a_fitted_map_predicts_what_the_layer_gives():
    rng = np.random.default_rng(3)
    block, target = rng.standard_normal((40, 3, 6, 6)), rng.standard_normal((40, 5, 4, 4))
    fitted = direct_matching(to_rows(block, "positions", (4, 4)), to_rows(target, "positions"))
    layer = StitchingLayer.from_map((3, 6, 6), (5, 4, 4), fitted)
    stitched = layer(torch.from_numpy(block).float()).detach().numpy()
    wanted = fitted.predict(to_rows(block, "positions", (4, 4)))
    np.testing.assert_allclose(to_rows(stitched, "positions"), wanted, rtol=0, atol=1e-6)


POSITIONS = {
    "image": ((4, 6, 3), None),
    "tokens": ((10, 4), None),
    "more tokens": ((17, 4), None),
    "tokens of a wide image": ((9, 4), (1, 2, 4)),
    "tokens without a class": ((9, 4), (0, 3, 3)),
}


@pytest.mark.parametrize("target", POSITIONS)
@pytest.mark.parametrize("source", POSITIONS)
def test_between_images_and_tokens_the_layer_gives_what_the_map_predicts_on_rows(source, target):
    """So a least-squares map that the engine fitted on rows is the map of the stitched network."""
    (x_shape, x_tokens), (y_shape, y_tokens) = POSITIONS[source], POSITIONS[target]
    grids = (grid_of(x_shape, x_tokens), grid_of(y_shape, y_tokens))
    fitted = random_map(4, 4)
    block = np.random.default_rng(5).standard_normal((3, *x_shape)).astype("float32")
    layer = StitchingLayer.from_map(x_shape, y_shape, fitted, grids=grids)
    stitched = layer(torch.from_numpy(block)).detach().numpy()
    assert stitched.shape == (3, *y_shape)
    wanted = fitted.predict(to_rows(block, "positions", grids[1], tokens=x_tokens))
    np.testing.assert_allclose(to_rows(stitched, "positions"), wanted, rtol=0, atol=1e-5)


def test_a_class_token_is_handed_on():
    tokens = np.random.default_rng(6).standard_normal((2, 10, 4)).astype("float32")
    stitched = StitchingLayer.identity((10, 4), (17, 4))(torch.from_numpy(tokens))
    np.testing.assert_allclose(stitched[:, 0].detach().numpy(), tokens[:, 0], atol=1e-6)


@pytest.mark.parametrize("shapes", [((4,), (4, 2, 2)), ((10, 4), (4,))])
def test_a_vector_cannot_be_stitched_to_positions(shapes):
    with pytest.raises(StitchError, match="two vectors"):
        StitchingLayer.identity(*shapes)


def test_a_grid_of_other_positions_is_refused():
    with pytest.raises(StitchError, match="10 positions"):
        StitchingLayer.identity((10, 4), (10, 4), grids=((0, 3, 3), (1, 3, 3)))


def test_map_survives_the_round_trip_in_float32():
    fitted = random_map(5, 3)
    back = StitchingLayer.from_map((5, 2, 2), (3, 2, 2), fitted).to_map()
    assert np.array_equal(back.W, fitted.W.astype("float32"))
    assert np.array_equal(back.b, fitted.b.astype("float32"))
    assert back.W.dtype == np.float64
    values = np.linalg.svd(fitted.W, compute_uv=False)
    assert back.rank == 3
    assert back.condition == pytest.approx(values[0] / values[-1], rel=1e-5)


@pytest.mark.parametrize(
    ("weight", "rank", "condition"), [(np.zeros((3, 2)), 0, 1.0), (np.ones((3, 2)), 1, 1.0)]
)
def test_rank_of_a_layer_is_that_of_its_weights(weight, rank, condition):
    found = StitchingLayer((2,), (3,), torch.from_numpy(weight).float(), torch.zeros(3)).to_map()
    assert (found.rank, found.condition) == (rank, condition)


def test_the_map_that_a_layer_starts_from_does_not_learn_with_it():
    fitted = AffineMap(
        W=np.ones((2, 2), dtype="float32"), b=np.ones(2, dtype="float32"), rank=1, condition=1.0
    )
    layer = StitchingLayer.from_map((2,), (2,), fitted)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    assert (fitted.W == 1).all()
    assert (fitted.b == 1).all()


def test_the_tensors_that_a_layer_is_made_of_do_not_learn_with_it():
    weight, bias = torch.ones(2, 2), torch.ones(2)
    layer = StitchingLayer((2,), (2,), weight, bias)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    assert float(weight.sum()) + float(bias.sum()) == 6.0


def test_random_start_follows_from_its_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = StitchingLayer.random((64, 8, 8), (16, 4, 4), seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (StitchingLayer.random((64, 8, 8), (16, 4, 4), seed=seed) for seed in (5, 6))
    assert torch.equal(one.weight, again.weight)
    assert torch.equal(one.bias, again.bias)
    assert not torch.equal(one.weight, other.weight)


def test_random_start_has_the_distribution_of_a_fresh_convolution():
    layer = StitchingLayer.random((64, 4, 4), (256, 4, 4), seed=0)
    fresh = nn.Conv2d(64, 256, 1)
    bound = 1 / 8
    for values, torchs in ((layer.weight.detach(), fresh.weight), (layer.bias.detach(), fresh.bias)):
        assert 0.95 * bound < values.abs().max() <= bound
        assert 0.95 * bound < torchs.abs().max() <= bound
        assert float(values.mean()) == pytest.approx(0.0, abs=4 * bound / values.numel() ** 0.5)
        assert float(values.std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_identity_returns_what_it_is_given():
    x = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(StitchingLayer.identity((5, 4, 4), (5, 4, 4))(x), x)


def test_identity_between_unequal_widths_is_refused_in_four_parts():
    with pytest.raises(StitchError) as caught:
        StitchingLayer.identity((16, 8, 8), (32, 4, 4))
    error = caught.value
    assert (error.where, error.expected) == ("initialisation 'identity'", "source and target of equal width")
    assert error.found == "widths 16 and 32"
    assert "direct matching" in error.remedy


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), ()])
def test_what_is_no_layer_is_refused(shape):
    with pytest.raises(ViewError, match="Reshape"):
        StitchingLayer(shape, shape, torch.eye(3), torch.zeros(3))


def test_a_map_of_other_layers_is_refused_with_both_shapes():
    with pytest.raises(StitchError, match=r"W of shape \(5, 3\).*found \(3, 5\) and \(3,\)"):
        StitchingLayer.from_map((3, 2, 2), (5, 2, 2), random_map(5, 3))
