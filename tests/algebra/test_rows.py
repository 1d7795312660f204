"""Rows held in memory, centred and narrowed: what is kept of them in fewer coordinates."""

import numpy as np
import pytest
import torch

from stitchpipe.algebra import CentredRows, PairMoments, direct_matching, in_coordinates_of
from stitchpipe.algebra.maps import fit_map

RNG = np.random.default_rng(0)
WIDE = RNG.standard_normal((12, 40)) @ np.diag(np.geomspace(1.0, 1e-3, 40)) + RNG.standard_normal(40)
OTHER = RNG.standard_normal((9, 40)) + 0.5
TOLERANCE = 1e-13


def of(library, rows):
    return CentredRows.of(torch.tensor(rows) if library == "torch" else rows)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_inner_products_and_the_mean_survive(library):
    neurons = of(library, WIDE)
    narrowed = neurons.narrowed()
    assert (narrowed.centred.shape, narrowed.n, narrowed.width) == ((12, 13), 12, 40)
    held = np.asarray(narrowed.centred) + np.asarray(narrowed.mean)
    np.testing.assert_allclose(held @ held.T, WIDE @ WIDE.T, rtol=0, atol=TOLERANCE * (WIDE**2).sum())
    centred = WIDE - WIDE.mean(axis=0)
    np.testing.assert_allclose(narrowed.squared_norms, (centred**2).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(narrowed.mean[1:], 0.0, atol=TOLERANCE)
    assert narrowed.narrowed() is narrowed
    assert of(library, WIDE[:, :13]).narrowed().neurons is None


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_basis_is_that_of_the_coordinates(library):
    narrowed = of(library, WIDE).narrowed()
    basis = np.asarray(narrowed.neurons.basis)
    np.testing.assert_allclose(basis.T @ basis, np.eye(13), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        np.asarray(narrowed.centred) @ basis.T, WIDE - WIDE.mean(axis=0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(basis @ np.asarray(narrowed.mean), WIDE.mean(axis=0), rtol=0, atol=1e-12)


def test_loadings_are_had_from_the_rows():
    moments = CentredRows.of(WIDE).narrowed().moments
    directions = moments.retained()
    assert directions.rank == 11
    expected = np.sqrt(directions.values)[:, None] * (moments.neurons.basis @ directions.vectors).T
    # The first factor has the error of eigenvectors, eps·cond² of the smallest direction.
    allowed = 1e-15 * directions.condition**2
    np.testing.assert_allclose(directions.loadings(), expected, rtol=0, atol=allowed)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_other_rows_in_the_coordinates_of_a_fit_keep_their_size(library):
    fitted, scored = in_coordinates_of(of(library, WIDE).narrowed(), of(library, OTHER))
    assert fitted.centred.shape[1] == scored.centred.shape[1] == 14
    assert not np.asarray(fitted.moments.comoment)[:, -1].any()
    centred = OTHER - OTHER.mean(axis=0)
    assert scored.total == pytest.approx((centred**2).sum(), rel=1e-12)
    assert float(np.linalg.norm(scored.mean)) == pytest.approx(np.linalg.norm(OTHER.mean(axis=0)), rel=1e-12)
    np.testing.assert_allclose(np.asarray(scored.centred).sum(axis=0), 0.0, atol=1e-12)


def test_a_map_scores_in_coordinates_as_it_does_over_neurons():
    targets = RNG.standard_normal((21, 50)) + 2.0
    x = in_coordinates_of(CentredRows.of(WIDE).narrowed(), CentredRows.of(OTHER))
    y = in_coordinates_of(CentredRows.of(targets[:12]).narrowed(), CentredRows.of(targets[12:]))
    train, test = PairMoments.of(x[0], y[0]), PairMoments.of(x[1], y[1])
    for family, parameter in (("affine", None), ("ridge", 0.1), ("low_rank", 3), ("orthogonal", None)):
        inside = fit_map(family, train, parameter=parameter)
        outside = direct_matching(WIDE, targets[:12], family=family, parameter=parameter)
        allowed = 1e-13 * max(1.0, outside.condition) ** 2
        assert inside.rank == outside.rank
        for found, expected in (
            (inside.r2_from_moments(test), outside.r2(OTHER, targets[12:])),
            (inside.struct_error_from_moments(test), outside.struct_error(OTHER, targets[12:])),
        ):
            assert found == pytest.approx(expected, rel=allowed), family


def test_rows_that_are_not_wide_are_left_as_they_are():
    fitted, scored = CentredRows.of(WIDE[:, :5]), CentredRows.of(OTHER[:, :5])
    assert in_coordinates_of(fitted.narrowed(), scored) == (fitted, scored)
    single = in_coordinates_of(CentredRows.of(WIDE).narrowed(), CentredRows.of(OTHER[:1]))[1]
    assert single.total == pytest.approx(0.0, abs=1e-24)
