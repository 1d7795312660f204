"""What is kept of a representation that passes by in blocks, native or stitched: all that statistics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.ood.features import Features
from stitchpipe.ood.positions import PositionRows, PositionSampling

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.rows import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Pooled features of all images, and rows of sampled positions.

    Attributes
    ----------
    features
        Means and spreads over positions, and the mass on either side of zero.
    positions
        ``[images, positions, q]`` of the sampled images; None for vectors.
    """

    features: Features
    positions: Float64 | None

    @property
    def images(self) -> Float64:
        """Return one row per image, the mean over its positions, ``[images, 1, q]``."""
        return self.features.mean[:, None, :]

    @property
    def moments(self) -> Float64:
        """Return one row per image, means and spreads over positions side by side, ``[images, 1, 2q]``."""
        return self.features.moments[:, None, :]

    @property
    def layout(self) -> tuple[int, int, int]:
        """Return width, width of the spreads, and positions per image: equal for representations of one layer."""
        per_image = 0 if self.positions is None else self.positions.shape[1]
        return self.features.mean.shape[1], self.features.spread.shape[1], per_image


class Observer:
    """Looks once at each block of a representation, in the order of its samples; blocks are not kept.

    Notes
    -----
    Memory: 2·q float64 values per image, and the rows of `PositionRows`.
    """

    def __init__(self, sampling: PositionSampling | None = None) -> None:
        self._rows = PositionRows(sampling or PositionSampling())
        self._parts: list[Features] = []
        self._positions = False

    def add(self, block: npt.NDArray[np.floating]) -> None:
        """Look at a block ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``; `OodError` for any other."""
        self._parts.append(Features.from_block(block))
        if block.ndim > 2:
            self._positions = True
            self._rows.add(block)

    def observation(self) -> Observation:
        """Return what was seen; `OodError` where nothing was."""
        features = Features.merge(self._parts)
        return Observation(features, self._rows.collected() if self._positions else None)


def observe(
    blocks: Iterable[npt.NDArray[np.floating]], sampling: PositionSampling | None = None
) -> Observation:
    """Return what is kept of a representation given in blocks; one of them is in memory at a time."""
    observer = Observer(sampling)
    for block in blocks:
        observer.add(block)
    return observer.observation()
