"""One pair's moments out of those of its chunk, as the indices want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.moments import Moments, PairMoments, pair_from_augmented
from stitchpipe.engine.planning.tiles import side_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from stitchpipe.engine.moments.leaf import ChunkMoments
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
        pass_number: int,
        chunk_number: int,
        moments: ChunkMoments,
        shifts: Mapping[int, npt.NDArray[np.float64]],
    ) -> None:
        formed = plan.passes[pass_number]
        self.chunk = formed.chunks[chunk_number]
        self.tile = formed.tiles[self.chunk.tile]
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
        # Rows of the chunk's sums are its targets. A product that serves both directions is formed once, so that
        # this pair's may stand there as that of (target, source): then the pair's own direction is its transpose.
        is_forward = source in sources and target in targets
        row, column = (target, source) if is_forward else (source, target)
        layers, view = self._plan.layers, self.view
        cut = self._cross.pick(
            side_slice(layers, view, targets, (row,)), side_slice(layers, view, sources, (column,))
        )
        cross = cut.swap() if is_forward else cut
        x, y = self._own[source], self._own[target]
        if self.view == "positions":
            return PairMoments(x, y, cross.comoment)
        # The last column of each side is a norm ‖x‖². Norms about the mean, which debiased CKA needs, follow from
        # those about the shift; next to it means are small, and no digits are lost to a large mean.
        origin_x, origin_y = np.zeros(len(x.mean)), np.zeros(len(y.mean))
        about_shift = pair_from_augmented(
            self._about_shift[source], self._about_shift[target], cross, shift_x=origin_x, shift_y=origin_y
        )
        return PairMoments(x, y, about_shift.xy, about_shift.norm_products)
