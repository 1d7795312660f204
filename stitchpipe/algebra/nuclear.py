"""The cosine of two shapes after the best rotation, on which every Procrustes index rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.guards import variation_of, within
from stitchpipe.algebra.inputs import namespace

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


def nuclear_cosine(pair: PairMoments, *, index: str = "procrustes") -> float:
    """Return c = ‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F) ∈ [0, 1], on which every Procrustes index rests.

    Time O(p·q·min(p, q)). Raises UndefinedIndexError as `procrustes`; MomentsError where c is not in [0, 1].
    """
    scale_x, scale_y = variation_of(pair, index)
    xp = namespace(pair.xy)
    # The best rotation R maximises tr(RᵀX̃ᵀỸ), and the maximum is the sum of singular values.
    nuclear = float(xp.sum(xp.linalg.svdvals(pair.xy / scale_x / scale_y)))
    return within(nuclear, 0.0, 1.0, index=index)
