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
    {"gaussian": _gaussian, "heavy tails": _heavy, "clusters": _clustered, "near copies": _gaussian}
)
"""How the variables behind images are distributed, ``[images, variables]``, each of variance 1."""
COPIES: Final[Mapping[str, int]] = MappingProxyType({"near copies": 4})
"""Regimes whose images come in groups: so many adjacent ones are nearly the same image, to every layer."""
OWN_OF_A_COPY: Final = 0.2
"""Standard deviation of what is a copy's own, of the variables and of a layer's noise."""


def copies_of(regime: str) -> int:
    """Return how many images of a regime are nearly the same: 1 where each is on its own."""
    return COPIES.get(regime, 1)


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
        originals = -(-images // copies_of(self.regime))
        shared = draw(rng, (originals, LATENT))[:, None, :]
        if positions == 1:
            return self._copied(rng, shared, images)
        own = draw(rng, (originals * positions, LATENT)).reshape(originals, positions, LATENT)
        both = np.asarray(np.sqrt(WITHIN_IMAGE) * shared + np.sqrt(1.0 - WITHIN_IMAGE) * own)
        return self._copied(rng, both, images)

    def _copied(self, rng: np.random.Generator, originals: Float64, images: int) -> Float64:
        """Return images that lie beside their copies; where there are none, what was given."""
        copies = copies_of(self.regime)
        if copies == 1:
            return originals
        repeated = np.repeat(originals, copies, axis=0)[:images]
        own = rng.standard_normal(repeated.shape)
        return np.asarray(np.sqrt(1.0 - OWN_OF_A_COPY**2) * repeated + OWN_OF_A_COPY * own)

    def rows(self, rng: np.random.Generator, latent: Float64) -> list[Float64]:
        """Return the rows of each layer, ``[rows, width]``: those of an image are adjacent."""
        images, positions, _ = latent.shape
        originals = -(-images // copies_of(self.regime))
        layers = []
        for number, width in enumerate(self.widths):
            channels = width // positions if self.view == "flatten" else width
            weights = np.random.default_rng([self.seed, number])
            mixing = weights.standard_normal((LATENT, channels)) / np.sqrt(LATENT)
            shift, scale = 0.5 * weights.standard_normal(channels), np.geomspace(1.0, 0.3, channels)
            drawn = REGIMES[self.regime](rng, (originals * positions, channels))
            noise = self._copied(rng, drawn.reshape(originals, positions, channels), images)
            seen = np.maximum(latent @ mixing + shift + NOISE * noise, 0.0) * scale
            # A little noise behind the ReLU: no row is zero, which would have no cosine.
            seen = seen + 0.02 * rng.standard_normal(seen.shape)
            layers.append(seen.reshape(images, -1) if self.view == "flatten" else seen.reshape(-1, channels))
        return layers
