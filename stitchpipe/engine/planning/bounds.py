"""How little any comparison within some memory could read: what a plan's own reading is held against.

For all pairs of P columns with room for S numbers, n rows cost at least n·P²/√(2S) numbers (Beaumont et al. 2022, Al
Daas et al. 2023). Here columns differ in what they cost to read, and pairs in how many products they need:

Let layer i have wᵢ columns and cost bᵢ bytes a sample, and a pair {i, j} need k products of wᵢ·wⱼ numbers, 1 or 2. What
is formed between two readings of the memory's worth is a set C of products with Σ wᵢwⱼ ≤ S, from layers R. Then

    Σ_C √(bᵢwᵢ·bⱼwⱼ / k) ≤ √(Σ_C wᵢwⱼ) · √(Σ_C bᵢbⱼ / k) ≤ √S · Σ_R bᵢ / √2      (Cauchy and Schwarz)

so that all products together read at least √(2/S) · Σ_pairs √k · √(bᵢwᵢ·bⱼwⱼ), a layer with itself counting half.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.engine.planning.chunk_memory import FLOAT_BYTES
from stitchpipe.engine.planning.tiles import comparable, native_grid, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stitchpipe.engine.planning.pairs import Pairs, Wanted
    from stitchpipe.engine.planning.shapes import LayerShape
    from stitchpipe.rows import View


def least_bytes_read(layers: Sequence[LayerShape], wanted: Wanted, *, samples: int, room_bytes: int) -> int:
    """Return a lower bound on the stored bytes that a comparison reads.

    Parameters
    ----------
    wanted
        The directed pairs, by view, whose products are summed while layers are read; those that no resize puts on one
        grid are left out.
    samples
        Over all splits.
    room_bytes
        What a worker may hold beside its interpreter and libraries: all of it is taken to be sums.

    Notes
    -----
    The larger of the layers' own bytes, each read once, and of what the view that needs most products needs. Nothing
    reads less, whatever shares a pass; a set of t passes of one size reads each layer at least (1 + √(4t − 3)) / 2
    times, which is 1.05 × the bound from ten times on. Time and memory O(layers²) for each view.
    """
    seen: set[int] = set()
    most = 0.0
    for view, of_view in wanted.items():
        pairs = comparable(layers, view, of_view)
        seen.update(pairs.layers)
        most = max(most, sqrt(2 * FLOAT_BYTES / room_bytes) * _weight(layers, view, pairs))
    once = sum(layers[index].sample_bytes for index in seen)
    return samples * max(once, ceil(most))


def _weight(layers: Sequence[LayerShape], view: View, pairs: Pairs) -> float:
    """Return Σ √k · √(bᵢwᵢ·bⱼwⱼ) over unordered pairs, a layer with itself counting half."""
    if not pairs:
        return 0.0
    wanted = pairs.among(len(layers))
    numbers = {grid: number for number, grid in enumerate({native_grid(layer, view) for layer in layers})}
    grids = np.array([numbers[native_grid(layer, view)] for layer in layers])
    # On one grid a product serves both directions.
    products = np.where(grids[:, None] == grids, wanted | wanted.T, wanted.astype(np.int8) + wanted.T)
    roots: npt.NDArray[np.float64] = np.sqrt(
        [float(layer.sample_bytes) * width(layer, view) for layer in layers]
    )
    # Each pair stands on both sides of the diagonal, a layer with itself once: half of the sum is what counts.
    return float(roots @ np.sqrt(products) @ roots) / 2
