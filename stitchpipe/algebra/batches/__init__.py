"""Pairs of layers of equal widths, decomposed together by stacked LAPACK calls of NumPy.

The face of the room, for whoever forms moments::

    layers = LayerBatch(n, mean, comoment, storage_eps, norm_squares)     # [L, p], [L, p, p], [L], [L] or None
    batch = PairBatch(x, y, ix, iy, xy, norm_products, train)             # [B], [B], [B, p, q], [B] or None
    numbers = evaluate(batch, indices)                                    # columns [K, B] of K indices
    forth, back = evaluate_both(batch, indices)                           # of both directions of the same pairs
    rest = evaluate_both(batch.rescored(PairBatch(…)), indices)           # other rows, the maps of `batch`
    batch.pair(i)                                                         # the `Analysis` of one pair

All is float64 NumPy. `x` and `y` may be the same `LayerBatch`; each is decomposed once, whatever the number of batches
that share it. `train` is a `PairBatch` of the same pairs in the same order, with layers of its own; the jackknife's
batches need none, because `rescored` gives them that of the batch. `norm_products` holds Σkᵢlᵢ of each pair and
`norm_squares` Σkᵢ² of each layer; debiased CKA needs both.

Memory: `evaluate` and `evaluate_both` work through a batch in slices and hold `working_bytes(p, q)` beside what they
are given, 28·K·B bytes of numbers a direction, and what is kept with layers: 8·p² bytes for each layer's directions,
and for held-out indices min(p, n)² numbers for each layer of a batch that is scored.

The rule: the formula of a batch (`Index.of_batch`) knows only where all is well. A pair for which it gives NaN, and
every pair of an index that has no such formula, is asked of `Index.number(batch.pair(i))`, so that what is undefined
is defined in one place. A pair's numbers do not depend on its neighbours, not in a bit.
"""

from stitchpipe.algebra.batches.evaluation import BatchNumbers, Note, evaluate, evaluate_both
from stitchpipe.algebra.batches.layer_batch import LayerBatch
from stitchpipe.algebra.batches.pair_batch import PairBatch
from stitchpipe.algebra.batches.slices import working_bytes
from stitchpipe.algebra.batches.values import BatchValues

__all__ = [
    "BatchNumbers",
    "BatchValues",
    "LayerBatch",
    "Note",
    "PairBatch",
    "evaluate",
    "evaluate_both",
    "working_bytes",
]
