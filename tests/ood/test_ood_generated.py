"""Generated images: seeded one by one, in the shape and the range of a data set's."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.ood import GeneratedImages, OodError
from stitchpipe.ood.detector.generated_images import PAINTERS, blobs, checkerboard, gratings, pink, uniform

LIKE = np.random.default_rng(0).uniform(-2, 3, (20, 3, 12, 9)) * np.array([1, 2, 0.5])[:, None, None]
RNG = np.random.default_rng(1)


@pytest.mark.parametrize("kind", PAINTERS)
def test_images_have_the_shape_and_stay_in_the_range_of_the_data(kind):
    found = GeneratedImages(kind, LIKE, seed=0).batch(range(30))
    assert found.shape == (30, 3, 12, 9)
    assert found.dtype == np.float32
    low, high = LIKE.min((0, 2, 3)), LIKE.max((0, 2, 3))
    assert (found.min((0, 2, 3)) >= low - 1e-5).all()
    assert (found.max((0, 2, 3)) <= high + 1e-5).all()
    assert (np.ptp(found, axis=(0, 2, 3)) > 0.9 * (high - low)).all()
    assert len({image.tobytes() for image in found}) == 30


@pytest.mark.parametrize("kind", PAINTERS)
def test_an_image_is_the_same_whatever_is_asked_for_beside_it(kind):
    images = GeneratedImages(kind, LIKE, seed=3)
    together = images.batch(range(9))
    for number in (8, 0, 4):
        assert np.array_equal(images.batch([number])[0], together[number])
    assert not np.array_equal(GeneratedImages(kind, LIKE, seed=4).batch(range(9)), together)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 1, 1), (3, 2, 17)])
def test_painters_give_pixels_between_0_and_1_at_any_size(shape):
    for painter in (one for kind in PAINTERS.values() for one in kind):
        found = painter(shape, RNG)
        assert found.shape == shape
        assert np.isfinite(found).all()
        assert found.min() >= 0.0
        assert found.max() <= 1.0


def neighbour_correlation(painter, n=40):
    images = np.stack([painter((1, 32, 32), RNG) for _ in range(n)])
    images = images - images.mean(axis=(2, 3), keepdims=True)
    return (images[..., 1:] * images[..., :-1]).sum() / (images[..., 1:] ** 2).sum()


def test_noise_is_rough_and_blobs_and_textures_are_smooth():
    assert abs(neighbour_correlation(uniform)) < 0.05
    assert neighbour_correlation(blobs) > 0.8
    assert neighbour_correlation(pink) > 0.5


def test_power_of_pink_noise_falls_as_the_square_of_frequency():
    spectrum = np.mean([np.abs(np.fft.rfft2(pink((1, 64, 64), RNG)[0])) ** 2 for _ in range(200)], axis=0)
    frequency = np.fft.rfftfreq(64)
    slope = np.polyfit(np.log(frequency[2:16]), np.log(spectrum[0, 2:16]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.3)


def test_a_grating_has_one_frequency_and_a_checkerboard_two_colours():
    grating = gratings((1, 64, 64), np.random.default_rng(5))[0]
    power = np.abs(np.fft.rfft2((grating - grating.mean()) * np.outer(np.hanning(64), np.hanning(64)))) ** 2
    assert np.sort(power.ravel())[-16:].sum() > 0.9 * power.sum()
    board = checkerboard((3, 16, 16), np.random.default_rng(2))
    assert {len(np.unique(channel)) for channel in board} == {2}


@pytest.mark.parametrize(("kind", "like"), [("noize", LIKE), ("noise", LIKE[:0]), ("noise", LIKE[0])])
def test_what_cannot_be_generated_is_refused(kind, like):
    with pytest.raises(OodError, match="one of noise, textures"):
        GeneratedImages(kind, like, seed=0)
