"""Each detector against a computation of its own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from stitchpipe.ood import OodError, auroc, features_of
from stitchpipe.ood.scores.mahalanobis import MahalanobisDistance
from stitchpipe.ood.scores.nearest_neighbours import NeighbourDistance
from stitchpipe.ood.scores.vim import ResidualNorm, principal_dimension
from stitchpipe.ood.standardiser import Standardiser

RNG = np.random.default_rng(0)
KNOWN = RNG.standard_normal((60, 7)) @ RNG.standard_normal((7, 7))
NEW = RNG.standard_normal((25, 7)) * 3 + 1


def ledoit_wolf_by_the_paper(rows):
    """Ledoit and Wolf 2004, lemma 3.2 and following: shrink the sample covariance to m·I by b²/d²."""
    n, q = rows.shape
    centred = rows - rows.mean(0)
    sample = centred.T @ centred / n
    m = np.trace(sample) / q
    d2 = ((sample - m * np.eye(q)) ** 2).sum() / q
    b2 = sum(((np.outer(x, x) - sample) ** 2).sum() for x in centred) / n**2 / q
    shrinkage = min(b2, d2) / d2
    return shrinkage * m * np.eye(q) + (1 - shrinkage) * sample


@pytest.mark.parametrize("n", [60, 5])  # more and fewer rows than features
def test_mahalanobis_is_the_quadratic_form_of_the_shrunk_covariance(n):
    known = KNOWN[:n]
    covariance = LedoitWolf().fit(known).covariance_
    np.testing.assert_allclose(covariance, ledoit_wolf_by_the_paper(known), rtol=1e-9, atol=1e-12)
    apart = NEW - known.mean(0)
    wanted = [x @ np.linalg.solve(covariance, x) for x in apart]
    np.testing.assert_allclose(MahalanobisDistance(known)(NEW), wanted, rtol=1e-9)


@pytest.mark.parametrize(("k", "used"), [(1, 1), (10, 10), (1000, 60)])
def test_neighbour_distance_is_that_of_brute_force(k, used):
    every = np.sort(np.sqrt(((NEW[:, None] - KNOWN[None]) ** 2).sum(-1)), axis=1)
    np.testing.assert_allclose(NeighbourDistance(KNOWN, k)(NEW), every[:, used - 1], rtol=1e-9)


def test_neighbour_distance_keeps_its_digits_for_features_far_from_zero():
    """Distances are taken from ‖x‖² − 2xy + ‖y‖², which would have no digits left were the features not centred."""
    far = 1e7
    units = Standardiser.from_rows(KNOWN + far)
    found = NeighbourDistance(units(KNOWN + far), 3)(units(NEW + far))
    near = Standardiser.from_rows(KNOWN)
    np.testing.assert_allclose(found, NeighbourDistance(near(KNOWN), 3)(near(NEW)), rtol=1e-7)


def test_auroc_is_the_share_of_pairs_in_order():
    native, foreign = RNG.integers(0, 6, 31).astype(float), RNG.integers(2, 8, 17).astype(float)
    pairs = [(f > n) + 0.5 * (f == n) for f in foreign for n in native]
    assert auroc(native, foreign) == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)
    assert auroc(native, native) == 0.5
    for wrong in (np.nan, np.inf):
        with pytest.raises(OodError, match="expected finite numbers"):
            auroc(native, np.append(foreign, wrong))


def test_standardised_training_features_have_mean_zero_and_deviation_one():
    found = Standardiser.from_rows(KNOWN)(KNOWN)
    np.testing.assert_allclose(found.mean(0), 0.0, atol=1e-14)
    np.testing.assert_allclose(found.std(0), 1.0, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_dead_channel_is_measured_in_the_others_typical_unit(value):
    known = np.concatenate([KNOWN, np.full((60, 1), value)], axis=1)
    units = np.sqrt((KNOWN.std(0) ** 2).mean())
    found = Standardiser.from_rows(known)(np.append(KNOWN[0], value + 2 * units)[None])
    assert found[0, -1] == pytest.approx(2.0, rel=1e-6)


def test_units_do_not_matter():
    known = np.concatenate([KNOWN, np.zeros((60, 1))], axis=1)
    new = np.concatenate([NEW, np.ones((25, 1))], axis=1)
    np.testing.assert_allclose(
        Standardiser.from_rows(1e-6 * known)(1e-6 * new), Standardiser.from_rows(known)(new), rtol=1e-9
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_constant_features_do_not_vary_though_rounding_says_so(value):
    assert not Standardiser.from_rows(np.full((30, 4), value)).varies
    assert Standardiser.from_rows(KNOWN).varies


@pytest.mark.parametrize("n", [60, 5])  # more and fewer rows than features
def test_residual_is_what_the_first_right_singular_vectors_leave(n):
    known = KNOWN[:n]
    _, _, vectors = np.linalg.svd(known - known.mean(0))
    outside = (NEW - known.mean(0)) @ vectors[min(3, n - 1) :].T
    np.testing.assert_allclose(ResidualNorm(known)(NEW), np.linalg.norm(outside, axis=1), rtol=1e-9)


def test_residual_counts_no_direction_that_training_rows_do_not_span_and_no_rounding():
    basis = np.linalg.qr(RNG.standard_normal((8, 8)))[0]
    flat = RNG.standard_normal((50, 2)) @ basis[:2]  # rank 2 of 8, of which half would be 4
    residual = ResidualNorm(flat)
    assert not residual(flat.astype("float32").astype(float)).any()
    np.testing.assert_allclose(residual(flat + 0.5 * basis[5]), 0.5, rtol=1e-9)


def test_principal_subspaces_have_the_sizes_of_the_literature_where_it_has_some():
    assert [principal_dimension(q) for q in (2048, 768)] == [1000, 512]  # Wang et al. 2022
    assert [principal_dimension(q) for q in (1, 2, 3, 16, 512, 767)] == [0, 1, 1, 8, 256, 383]
    assert all(0 < principal_dimension(q) < q for q in range(2, 5000))


@pytest.mark.parametrize("shape", [(40, 3, 4, 5), (40, 9, 3), (40, 3)])
def test_units_of_positions_are_those_of_all_rows(shape):
    values = RNG.standard_normal(shape) * 2 + 1
    rows = np.moveaxis(values, 1, -1).reshape(-1, 3) if len(shape) == 4 else values.reshape(-1, 3)
    found, wanted = Standardiser.of_positions(features_of([values])), Standardiser.from_rows(rows)
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scale, wanted.scale, rtol=1e-12)
