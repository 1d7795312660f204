"""What layers of a simulation are drawn from: how images are distributed, and how two layers see the same image."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Float64: TypeAlias = npt.NDArray[np.float64]
View: TypeAlias = Literal["pooled", "flatten", "positions"]
Draw: TypeAlias = "Callable[[np.random.Generator, tuple[int, ...]], Float64]"

POSITIONS: Final = 4
"""Positions of an image where a view has any."""
CLASSES: Final = 10
FREEDOM: Final = 5.0
"""Degrees of freedom of the heavy tails: fourth moments exist, which the error of a covariance needs, sixth do not."""
LATENT: Final = 6
"""Variables that layers see an image through."""
WITHIN_IMAGE: Final = 0.7
"""Share that the variables at two positions of an image have in common."""
NOISE: Final = 0.7


def _gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64:
    return rng.standard_normal(shape)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64:
    return np.asarray(rng.standard_t(FREEDOM, shape) / np.sqrt(FREEDOM / (FREEDOM - 2.0)))


def _clustered(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64:
    """Return images of ten classes, whose centres lie as far apart as images of a class do."""
    centres = np.random.default_rng(CLASSES).standard_normal((CLASSES, *shape[1:]))
    return np.asarray(
        (centres[rng.integers(CLASSES, size=shape[0])] + rng.standard_normal(shape)) / np.sqrt(2.0)
    )


REGIMES: Final[Mapping[str, Draw]] = MappingProxyType(
    {"gaussian": _gaussian, "heavy tails": _heavy, "clusters": _clustered}
)
"""How the variables behind images are distributed, ``[images, variables]``, each of variance 1."""


@dataclass(frozen=True)
class Model:
    """Layers that see the same variables of images, each through weights and noise of its own, then ReLU.

    Attributes
    ----------
    regime
        A name in `REGIMES`.
    view
        How images become rows.
    widths
        Features of a row, by layer.
    seed
        Of the weights, which are the same for every sample.
    """

    regime: str
    view: View
    widths: tuple[int, ...]
    seed: int

    def latent(self, rng: np.random.Generator, images: int) -> Float64:
        """Return the variables of some images at each position, ``[images, positions, variables]``."""
        draw, positions = REGIMES[self.regime], 1 if self.view == "pooled" else POSITIONS
        shared = draw(rng, (images, LATENT))[:, None, :]
        if positions == 1:
            return shared
        own = draw(rng, (images * positions, LATENT)).reshape(images, positions, LATENT)
        return np.asarray(np.sqrt(WITHIN_IMAGE) * shared + np.sqrt(1.0 - WITHIN_IMAGE) * own)

    def rows(self, rng: np.random.Generator, latent: Float64) -> list[Float64]:
        """Return the rows of each layer, ``[rows, width]``: those of an image are adjacent."""
        images, positions, _ = latent.shape
        layers = []
        for number, width in enumerate(self.widths):
            channels = width // positions if self.view == "flatten" else width
            weights = np.random.default_rng([self.seed, number])
            mixing = weights.standard_normal((LATENT, channels)) / np.sqrt(LATENT)
            shift, scale = 0.5 * weights.standard_normal(channels), np.geomspace(1.0, 0.3, channels)
            noise = REGIMES[self.regime](rng, (images * positions, channels)).reshape(
                images, positions, channels
            )
            seen = np.maximum(latent @ mixing + shift + NOISE * noise, 0.0) * scale
            # A little noise behind the ReLU: no row is zero, which would have no cosine.
            seen = seen + 0.02 * rng.standard_normal(seen.shape)
            layers.append(seen.reshape(images, -1) if self.view == "flatten" else seen.reshape(-1, channels))
        return layers
