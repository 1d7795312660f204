"""Pooled features: the same from any blocks, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.ood import Features, OodError, features_of

VALUES = np.random.default_rng(0).standard_normal((23, 3, 4, 5)) + 0.2


def test_images_are_pooled_channel_by_channel():
    found = features_of([VALUES])
    for sample in (0, 22):
        for channel in range(3):
            positions = VALUES[sample, channel].ravel()
            mean = sum(positions) / 20
            assert found.mean[sample, channel] == pytest.approx(mean, rel=1e-12)
            spread = (sum((x - mean) ** 2 for x in positions) / 20) ** 0.5
            assert found.spread[sample, channel] == pytest.approx(spread, rel=1e-12)
    assert found.moments.shape == (23, 6)


def test_tokens_are_pooled_and_vectors_taken_as_they_are():
    tokens = np.moveaxis(VALUES.reshape(23, 3, 20), 1, 2)
    for found in (features_of([tokens]), features_of([VALUES])):
        np.testing.assert_allclose(found.mean, VALUES.mean(axis=(2, 3)), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found.spread, VALUES.std(axis=(2, 3)), rtol=1e-12)
    vectors = features_of([VALUES[:, :, 0, 0]])
    assert np.array_equal(vectors.moments, VALUES[:, :, 0, 0])


@given(st.sets(st.integers(1, 22)))
def test_blocks_do_not_matter(cuts):
    whole, parts = features_of([VALUES]), features_of(np.split(VALUES, sorted(cuts)))
    assert np.array_equal(whole.moments, parts.moments)
    assert parts.negative == pytest.approx(whole.negative, rel=1e-13)
    assert parts.absolute == pytest.approx(whole.absolute, rel=1e-13)


def test_negative_mass_is_a_share_of_the_absolute_mass():
    assert features_of([np.array([[1.0, -3.0]]), np.array([[0.0, 4.0]])]).negative_mass == 3 / 8
    assert features_of([np.array([[-1.0, -3.0]])]).negative_mass == 1.0
    assert features_of([np.abs(VALUES)]).negative_mass == 0.0
    assert features_of([np.zeros((2, 3))]).negative_mass == 0.0
    tiny = np.array([[1e8, -1e-9]])  # (Σ|x| − Σx)/2 would lose this
    assert features_of([tiny]).negative_mass == pytest.approx(1e-17, rel=1e-12)


def test_half_precision_is_pooled_in_double():
    values = np.full((2, 1, 64, 64), 40.0, dtype="float16")
    assert np.array_equal(features_of([values]).mean, [[40.0], [40.0]])
    assert np.array_equal(features_of([values]).spread, [[0.0], [0.0]])


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4, 5, 6), (0, 3), (2, 0, 4, 4)])
def test_what_is_not_a_block_of_samples_is_refused(shape):
    with pytest.raises(OodError, match="found an array of shape"):
        Features.from_block(np.zeros(shape))


def test_a_spent_iterator_is_refused():
    with pytest.raises(OodError, match="at least one block"):
        features_of(iter(()))
