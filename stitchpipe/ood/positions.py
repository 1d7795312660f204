"""A few positions of each image, the same in whatever blocks they come: the rows of positional statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stitchpipe.ood.errors import OodError

if TYPE_CHECKING:
    from stitchpipe.rows import Float64

STARTS = 8191
"""Length of the table of first positions: a prime, so that every 2nd, 4th, … image still meets all of it."""


@dataclass(frozen=True, slots=True)
class PositionSampling:
    """Which positions of which images stand for a representation.

    Image i of a split gives `per_image` neighbours in one seeded order of its positions, from a seeded place on; so
    that all positions of a layer are met, and an image has the same ones native and stitched. Where the images of a
    split would give more than `rows`, every 2nd, 4th, 8th, … image is taken.

    Attributes
    ----------
    per_image
        Positions of one image, at least 1; all of them where a layer has fewer.
    rows
        The most rows of a split, at least 1; one image is always taken whole.
    seed
        Of the order and the places, at least 0.

    Raises
    ------
    OodError
        A value out of range.
    """

    per_image: int = 8
    rows: int = 8192
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("per_image", 1), ("rows", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise OodError(
                    where=f"sampling of positions: {name}",
                    expected=f"at least {least}",
                    found=str(getattr(self, name)),
                    remedy="Correct the value.",
                )

    def of_images(self, images: npt.NDArray[np.int64], n_positions: int) -> npt.NDArray[np.int64]:
        """Return the positions of the images with these numbers, ``[n, min(per_image, n_positions)]``."""
        # One order serves all images; each begins at a place of its own, so that all positions are met.
        order, starts = _tables(n_positions, self.seed)
        steps = np.arange(min(self.per_image, n_positions))
        places = (starts[images % STARTS][:, None] + steps) % n_positions
        return np.asarray(order[places], dtype=np.int64)


@lru_cache(maxsize=8)
def _tables(n_positions: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.permutation(n_positions), rng.integers(n_positions, size=STARTS)


class PositionRows:
    """Collects the sampled rows of a representation, block by block, in the order of its images.

    Notes
    -----
    Holds at most 2·`rows` rows of q float64 values, and those of one block: 128 MiB for 1,024 channels and 8,192 rows.
    What is left does not depend on how the representation was cut into blocks.
    """

    def __init__(self, sampling: PositionSampling) -> None:
        self._sampling = sampling
        self._seen, self._every = 0, 1
        self._images: list[npt.NDArray[np.int64]] = []
        self._rows: list[Float64] = []

    def add(self, block: npt.NDArray[np.floating]) -> None:
        """Take what is sampled of ``(n, C, H, W)`` or ``(n, T, D)``."""
        images = np.arange(self._seen, self._seen + len(block))
        first, self._seen = self._seen, self._seen + len(block)
        # The number of an image decides alone whether it is kept, so that the cut into blocks does not
        # matter.
        images = images[images % self._every == 0]
        # Images come with channels first; from here on the features are last.
        by_position = np.moveaxis(block.reshape(*block.shape[:2], -1), 1, 2) if block.ndim == 4 else block
        places = self._sampling.of_images(images, by_position.shape[1])
        rows = by_position[(images - first)[:, None], places]
        self._images.append(images)
        self._rows.append(np.asarray(rows, dtype=np.float64))
        # Beyond the limit every other image that was kept is given up, and later ones are taken as
        # sparsely.
        while (count := sum(map(len, self._images))) > 1 and count * places.shape[1] > self._sampling.rows:
            self._thin()

    def _thin(self) -> None:
        self._every *= 2
        kept = [images % self._every == 0 for images in self._images]
        self._images = [images[mask] for images, mask in zip(self._images, kept, strict=True)]
        self._rows = [rows[mask] for rows, mask in zip(self._rows, kept, strict=True)]

    def collected(self) -> Float64:
        """Return ``[images, positions, q]``."""
        return np.concatenate(self._rows)
