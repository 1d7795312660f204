"""One pair's moments out of those of its chunk, as the indices want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.summaries import Moments, PairMoments, pair_from_augmented
from stitchpipe.engine.leaf import ChunkMoments, columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from stitchpipe.engine.plan import Plan
    from stitchpipe.engine.tiles import Pair
    from stitchpipe.rows import View


class ChunkPairs:
    """The moments of each pair of a chunk, cut out of those of the chunk.

    Parameters
    ----------
    shifts
        What the moments' means are about, by layer.
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
        self._plan, self._cross, self._shifts = plan, moments.cross, shifts
        self._own = {layer: self._absolute(layer, own) for layer, own in moments.own.items()}

    @property
    def view(self) -> View:
        """Return the view of the rows."""
        return self.tile.view

    @property
    def _augmented(self) -> bool:
        return self.view != "positions"

    def _absolute(self, layer: int, own: Moments) -> Moments:
        """Return a layer's moments with its mean about the origin."""
        shift = self._shift(layer)
        return Moments(own.n, own.mean + (np.append(shift, 0.0) if self._augmented else shift), own.comoment)

    def _shift(self, layer: int) -> npt.NDArray[np.float64]:
        shift = self._shifts[layer]
        if self.view == "flatten":
            return np.repeat(shift, (self._plan.width(self.view, layer) - 1) // len(shift))
        return shift

    def pair(self, pair: Pair) -> PairMoments:
        """Return the moments of one directed pair."""
        source, target = pair
        sources, targets = self.chunk.sources, self.chunk.targets
        turned = not (source in sources and target in targets)
        row, column = (target, source) if turned else (source, target)
        cut = self._cross.pick(
            columns_of(self._plan, self.tile, sources, row),
            columns_of(self._plan, self.tile, targets, column),
        )
        cut = cut.swap() if turned else cut
        x, y = self._own[source], self._own[target]
        if not self._augmented:
            return PairMoments(x, y, cut.comoment)
        return pair_from_augmented(x, y, cut, shift_x=self._shift(source), shift_y=self._shift(target))
