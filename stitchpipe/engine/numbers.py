"""What the engine gives: one number of a directed pair of layers, and what it was computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.measures import Number
    from stitchpipe.rows import Grid, View


@dataclass(frozen=True, slots=True, kw_only=True)
class PairNumber:
    """One index of a directed pair under a view: its number, or the reason why there is none.

    Whoever planned the comparison knows the layers by their numbers, and the split by its place; names, digests and
    keys are not the engine's.

    Attributes
    ----------
    pair
        Source and target, as indices of the plan's layers.
    grid
        The positions that both were brought to: the target's; ``()`` where a row is an image.
    fitted
        Whether a map was fitted on the first split; everything else was computed on the last, in-sample.
    n_samples, n_rows
        Images and rows of the view that were scored; no rows where the two cannot be compared.
    p, q
        Features of source and target.
    """

    view: View
    pair: Pair
    index: str
    number: Number
    grid: Grid = ()
    fitted: bool = False
    n_samples: int
    n_rows: int
    p: int
    q: int

    def swapped(self) -> Self:
        """Return the number of a symmetric index in the other direction."""
        return replace(self, pair=(self.pair[1], self.pair[0]), p=self.q, q=self.p)
