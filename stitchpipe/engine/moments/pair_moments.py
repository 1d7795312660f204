"""One pair's moments out of those of its chunk, as the indices want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.summaries import Moments, PairMoments, pair_from_augmented
from stitchpipe.engine.moments.leaf import ChunkMoments, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.rows import View


class ChunkPairs:
    """The moments of each pair of a chunk, cut out of those of the chunk.

    Parameters
    ----------
    shifts
        What the moments' means are about, by layer: of each feature of the chunk's view.
    """

    def __init__(
        self,
        plan: Plan,
        step: int,
        number: int,
        moments: ChunkMoments,
        shifts: Mapping[int, npt.NDArray[np.float64]],
    ) -> None:
        work = plan.passes[step]
        self.chunk = work.chunks[number]
        self.tile = work.tiles[self.chunk.tile]
        self._plan, self._cross, self._about_shift = plan, moments.cross, moments.own
        self._own = {layer: self._absolute(own, shifts[layer]) for layer, own in moments.own.items()}

    @property
    def view(self) -> View:
        """Return the view of the rows."""
        return self.tile.view

    def _absolute(self, own: Moments, shift: npt.NDArray[np.float64]) -> Moments:
        """Return a layer's moments without its norm's, and its mean about the origin."""
        features = own if self.view == "positions" else own.unaugmented
        return Moments(own.n, features.mean + shift, features.comoment)

    def pair(self, pair: Pair) -> PairMoments:
        """Return the moments of one directed pair."""
        source, target = pair
        sources, targets = self.chunk.sources, self.chunk.targets
        # Rows of the chunk's sums are targets; a product that serves both directions stands there once.
        there = source in sources and target in targets
        row, column = (target, source) if there else (source, target)
        cut = self._cross.pick(
            place_of(self._plan, self.tile, targets, row), place_of(self._plan, self.tile, sources, column)
        )
        cut = cut.swap() if there else cut
        x, y = self._own[source], self._own[target]
        if self.view == "positions":
            return PairMoments(x, y, cut.comoment)
        # About the shifts, next to which the means are small: their norms lose no digits to a large mean.
        origin_x, origin_y = np.zeros(len(x.mean)), np.zeros(len(y.mean))
        about_shift = pair_from_augmented(
            self._about_shift[source], self._about_shift[target], cut, shift_x=origin_x, shift_y=origin_y
        )
        return PairMoments(x, y, about_shift.xy, about_shift.norm_products)
