"""The cosine of two shapes after the best rotation, on which every Procrustes index rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.guards import variation, variation_of, within
from stitchpipe.algebra.inputs import Array, Products, namespace
from stitchpipe.algebra.moments import centred_pair

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import PairMoments


def nuclear_cosine(pair: PairMoments, *, index: str = "procrustes") -> float:
    """Return c = ‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F) ∈ [0, 1], on which every Procrustes index rests.

    Time O(p·q·min(p, q)). Raises UndefinedIndexError as `procrustes`; MomentsError where c is not in [0, 1].
    """
    return _cosine(pair.xy, *variation_of(pair, index), index=index)


def nuclear_cosine_of_rows(X: Array, Y: Array, *, index: str, products: Products = "float64") -> float:
    """Return the same of paired rows. Their own moments are not formed: of either side only the norm is needed."""
    x, y = centred_pair(X, Y, products=products)
    scale_x = variation(x, index=index, side="source")
    scale_y = variation(y, index=index, side="target")
    return _cosine(x.cross(y), scale_x, scale_y, index=index)


def _cosine(cross: Array, scale_x: float, scale_y: float, *, index: str) -> float:
    xp = namespace(cross)
    # The best rotation R maximises tr(RᵀX̃ᵀỸ), and the maximum is the sum of singular values.
    nuclear = float(xp.sum(xp.linalg.svdvals(cross / scale_x / scale_y)))
    return within(nuclear, 0.0, 1.0, index=index)
