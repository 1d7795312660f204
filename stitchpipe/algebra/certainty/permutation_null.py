"""Permutation nulls: what an index gives when the samples of the target are shuffled against the source's.

Exact: each permuted value is what the index would give on shuffled rows, from summaries that are worked once.
All pairs of layers share their permutations. The image is the unit: summaries must hold one row per image,
because shuffling rows that belong together tests a hypothesis that nobody holds and rejects it. Images that belong
together are shuffled together: `stitchpipe.algebra.certainty.exchange`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.certainty.calibration import Calibration, calibrate
from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.samples.neighbours import (
    NeighbourSets,
    check_same_neighbourhoods,
    mutual_neighbours,
    weights_beside,
)
from stitchpipe.algebra.samples.sample_matrix import (
    SampleMatrix,
    alignments,
    check_comparable,
    chunks,
    grouped,
    lower_triangle,
    packing_weights,
    within_unit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, eq=False)
class PermutationNull:
    """An index of L_x sources and L_y targets, as observed and under K permutations.

    Attributes
    ----------
    index
        Its name in results.
    observed
        ``[L_x, L_y]``.
    null
        ``[K, L_x, L_y]``.
    undefined
        Pairs (source, target) for which the index has no value, and why; their entries are 0 everywhere.
    """

    index: str
    observed: Array
    null: Array
    undefined: Mapping[tuple[int, int], UndefinedIndexError] = field(default_factory=dict)

    def calibrated(self, *, level: float = 0.05) -> Calibration:
        """Return thresholds, scores and p of all pairs (`calibrate`); consult `undefined` before using one."""
        return calibrate(self.observed, self.null, level=level)

    def of_pair(self, x: int, y: int) -> tuple[float, Array]:
        """Return the observed value and the null ``[K]`` of one pair. Raises UndefinedIndexError."""
        if (x, y) in self.undefined:
            raise self.undefined[x, y]
        return float(self.observed[x, y]), self.null[:, x, y]


def permutation_null(
    sources: Sequence[SampleMatrix], targets: Sequence[SampleMatrix], orders: Array
) -> PermutationNull:
    """Return any index that is an inner product of sample matrices, with its null.

    Parameters
    ----------
    sources, targets
        Of one index (`linear_kernel`, `rbf_kernel`, `ranked_dissimilarities`) on the same samples.
    orders
        ``[K, n]`` (`draw_permutations`): entry i of row k is the target's sample put beside the source's sample i.

    Raises
    ------
    RowsError
        Matrices of different indices or samples; rows of `orders` that are no permutations of the samples.

    Notes
    -----
    Time O(K·n²·(L_x·L_y + min(L_x, L_y))), the second term for gathering, which weighs about ten times the first's
    flops; memory 8·n² bytes for each of min(L_x, L_y) layers, up to half a GiB at a time.
    """
    check_comparable(sources, targets)
    orders = checked_orders(orders, sources[0].n, like=sources[0].values)
    null = within_unit(permuted_products(sources, targets, orders))
    return PermutationNull(sources[0].index, alignments(sources, targets), null)


def permuted_products(
    sources: Sequence[SampleMatrix], targets: Sequence[SampleMatrix], orders: Array
) -> Array:
    """Return ⟨A_x, B_y[π, π]⟩ for every order π, ``[K, L_x, L_y]``; as `permutation_null`, without its checks.

    The targets lie side by side, so that one gather serves all of them and the product is of L_x by L_y.
    """
    n, like = sources[0].n, sources[0].values
    xp = namespace(like)
    if len(sources) < len(targets):  # ⟨A, PᵀBP⟩ = ⟨PAPᵀ, B⟩: gather from the fewer
        return xp.permute_dims(permuted_products(targets, sources, xp.argsort(orders, axis=1)), (0, 2, 1))
    # Packed entries off the diagonal carry a factor √2. The targets are unpacked into whole matrices
    # without it, whose entries can be read in any order.
    rows, columns = xp.nonzero(lower_triangle(xp, n, like.device))
    weights = packing_weights(xp, n, like.device)
    products = xp.zeros((orders.shape[0], len(sources), len(targets)), dtype=like.dtype, device=like.device)
    for group in grouped(n, len(targets)):
        beside = xp.zeros((n * n, group.stop - group.start), dtype=like.dtype, device=like.device)
        for part in chunks(int(rows.shape[0])):
            entries = xp.stack([target.values[part] for target in targets[group]], axis=1)
            entries /= weights[part, None]
            # Either half of the symmetric matrix is filled, because a permuted entry may come from above
            # the diagonal.
            beside[rows[part] * n + columns[part], :] = entries
            beside[columns[part] * n + rows[part], :] = entries
        for part in chunks(int(rows.shape[0])):
            # The values were packed with √2 off the diagonal. A second √2 makes the sum over the triangle
            # that over the whole matrix.
            left = xp.stack([source.values[part] for source in sources]) * weights[part]
            for k in range(orders.shape[0]):
                order = orders[k, :]
                # Entry (i, j) of the permuted target is entry (π(i), π(j)) of the target, read row by row.
                permuted = xp.take(order, rows[part]) * n + xp.take(order, columns[part])
                products[k, :, group] += left @ xp.take(beside, permuted, axis=0)
    return products


def neighbour_null(
    sources: Sequence[NeighbourSets], targets: Sequence[NeighbourSets], orders: Array
) -> PermutationNull:
    """Return mutual k-NN with its null; arguments and errors as `permutation_null`.

    Time O(K·n·k·L_x·L_y), memory 8·n² bytes for each target, up to half a GiB at a time.
    """
    check_same_neighbourhoods(sources, targets)
    n, k = sources[0].n, sources[0].k
    xp = namespace(sources[0].weights)
    orders = checked_orders(orders, n, like=sources[0].weights)
    shape = (orders.shape[0], len(sources), len(targets))
    null = xp.zeros(shape, dtype=xp.float64, device=sources[0].weights.device)
    for group in grouped(n, len(targets)):
        beside = weights_beside(targets[group])
        for draw in range(orders.shape[0]):
            order = orders[draw, :]
            for row, source in enumerate(sources):
                # The neighbours j of sample i are looked up at (π(i), π(j)) among the target's weights.
                moved = n * order[:, None] + order[source.samples]
                gathered = xp.take(beside, xp.reshape(moved, (-1,)), axis=0)
                null[draw, row, group] = xp.reshape(source.weights, (-1,)) @ gathered / (n * k)
    return PermutationNull("mutual_knn", mutual_neighbours(sources, targets), null)


def checked_orders(orders: Array, n: int, *, like: Array) -> Array:
    """Return orders in the library and on the device of `like`, refusing what does not permute n samples."""
    array = np.asarray(orders)
    if (
        array.ndim != 2
        or array.shape[1:] != (n,)
        or not np.array_equal(np.sort(array, axis=1), np.broadcast_to(np.arange(n), array.shape))
    ):
        raise RowsError(
            where="permutation null",
            expected=f"orders [K, n], each a permutation of the {n} samples",
            found=f"shape {array.shape}, or rows that repeat a sample",
            remedy="Draw them with draw_permutations(n) for the number of samples in the summaries.",
        )
    return namespace(like).asarray(array, device=like.device)
