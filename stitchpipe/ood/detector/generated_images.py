"""Images that nobody took: noise and textures, seeded, in the shape and the range of a data set's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.ood.errors import OodError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Float32: TypeAlias = npt.NDArray[np.float32]
    Float64: TypeAlias = npt.NDArray[np.float64]
    Shape: TypeAlias = tuple[int, int, int]
    Painter: TypeAlias = Callable[[Shape, np.random.Generator], Float64]


def uniform(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return independent uniform pixels."""
    return rng.random(shape)


def gaussian(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return independent normal pixels about ½ with standard deviation ¼, those outside [0, 1] at its ends."""
    return np.asarray(np.clip(0.5 + 0.25 * rng.standard_normal(shape), 0.0, 1.0), dtype=np.float64)


def blobs(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return Gaussian noise blurred over about a tenth of the image, each channel stretched to [0, 1]."""
    frequencies = _frequencies(shape) * max(shape[1:]) / 10.0
    return _filtered(shape, rng, np.exp(-2.0 * (np.pi * frequencies) ** 2))


def gratings(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return a sinusoid of random direction, 1 to ¼·max(H, W) periods and random contrast by channel."""
    angle, periods = rng.uniform(0, np.pi), rng.uniform(1, max(2.0, max(shape[1:]) / 4))
    rows, columns = _coordinates(shape)
    along = np.cos(angle) * rows + np.sin(angle) * columns
    wave = np.sin(2 * np.pi * (periods * along + rng.random()))
    contrast = rng.uniform(-1, 1, (shape[0], 1, 1))
    return np.asarray(0.5 + 0.5 * contrast * wave, dtype=np.float64)


def checkerboard(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return squares of 1 to ¼·max(H, W) pixels in two random colours."""
    side = int(rng.integers(1, max(2, max(shape[1:]) // 4 + 1)))
    rows, columns = np.indices(shape[1:]) + rng.integers(0, 2 * side, size=(2, 1, 1))
    odd = (rows // side + columns // side) % 2
    first, second = rng.random((2, shape[0], 1, 1))
    return np.asarray(np.where(odd, first, second), dtype=np.float64)


def pink(shape: Shape, rng: np.random.Generator) -> Float64:
    """Return noise whose amplitude falls with frequency as 1/f, as in photographs; channels stretched to [0, 1]."""
    frequencies = _frequencies(shape)
    return _filtered(shape, rng, 1.0 / np.maximum(frequencies, 1.0 / max(shape[1:])))


PAINTERS: Final[Mapping[str, tuple[Painter, ...]]] = {
    "noise": (uniform, gaussian, blobs),
    "textures": (gratings, checkerboard, pink),
}
"""What each kind of image is drawn from, one painter after another."""


class GeneratedImages:
    """Seeded images of one kind: image i is the same whatever is asked for beside it.

    Parameters
    ----------
    kind
        ``noise`` or ``textures``.
    like
        Some of a data set's images ``(n, C, H, W)`` as networks take them: shape and range of each channel.
    seed
        At least 0.

    Raises
    ------
    OodError
        No such kind, or no images to resemble.
    """

    def __init__(self, kind: str, like: npt.NDArray[np.floating], *, seed: int) -> None:
        if kind not in PAINTERS or like.ndim != 4 or 0 in like.shape:
            raise OodError(
                where=f"generated images '{kind}'",
                expected=f"one of {', '.join(PAINTERS)}, in the likeness of images (n, C, H, W)",
                found=f"'{kind}', like an array of shape {like.shape}",
                remedy="Name a kind of images, or a data set.",
            )
        self._painters, self._seed = PAINTERS[kind], seed
        self._shape: Shape = (like.shape[1], like.shape[2], like.shape[3])
        self._low = like.min(axis=(0, 2, 3))[:, None, None].astype(np.float64)
        self._range = like.max(axis=(0, 2, 3))[:, None, None].astype(np.float64) - self._low

    def batch(self, positions: Sequence[int]) -> Float32:
        """Return the images with these numbers, ``(n, C, H, W)``; O(C·H·W·log(H·W)) each."""
        return np.stack([self._image(position) for position in positions])

    def _image(self, position: int) -> Float32:
        rng = np.random.default_rng([self._seed, position])
        painted = self._painters[position % len(self._painters)](self._shape, rng)
        return np.asarray(self._low + self._range * painted, dtype=np.float32)


def _coordinates(shape: Shape) -> tuple[Float64, Float64]:
    """Return rows and columns in units of the longer side."""
    rows, columns = np.indices(shape[1:]) / max(shape[1:])
    return rows, columns


def _frequencies(shape: Shape) -> Float64:
    """Return the length of each frequency of a real Fourier transform, in cycles per pixel."""
    rows, columns = np.fft.fftfreq(shape[1])[:, None], np.fft.rfftfreq(shape[2])[None, :]
    return np.asarray(np.hypot(rows, columns), dtype=np.float64)


def _filtered(shape: Shape, rng: np.random.Generator, gain: Float64) -> Float64:
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * gain
    image = np.fft.irfft2(spectrum, s=shape[1:])
    image = image - image.min(axis=(1, 2), keepdims=True)
    highest = image.max(axis=(1, 2), keepdims=True)
    stretched = np.divide(image, highest, out=np.zeros_like(image), where=highest > 0)
    return np.asarray(stretched, dtype=np.float64)
