"""The nearest neighbours of every sample, and the share of them that two layers agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.samples.order_statistics import in_order
from stitchpipe.algebra.samples.sample_matrix import grouped
from stitchpipe.algebra.samples.similarities import cosines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.samples.grams import SampleGram

NEIGHBOURS = 10
"""k, unless another is asked for (Huh et al. 2024)."""


@dataclass(frozen=True, eq=False)
class NeighbourSets:
    """The k nearest of the other samples, for each of n samples.

    Attributes
    ----------
    n, k
        Number of samples, and of neighbours.
    samples
        ``[n, w]``, who they are; w = k where no tie is at the k-th place, otherwise more. Unused places hold the
        sample itself.
    weights
        ``[n, w]``, rows sum to k: 1 for each neighbour, but t samples tied for the last u places have u/t each,
        the share of ways of breaking the tie in which they are in; 0 for unused places.
    """

    n: int
    k: int
    samples: Array
    weights: Array

    @classmethod
    def of(cls, gram: SampleGram, *, k: int = NEIGHBOURS) -> NeighbourSets:
        """Find the neighbours by cosine of the rows as they came. Time O(n²·log n), memory O(n²).

        Raises
        ------
        RowsError
            k < 1.
        UndefinedIndexError
            As `mutual_knn`.
        """
        _check_count(gram.n, k)
        gram.variation("mutual_knn")
        xp = namespace(gram.products)
        near = cosines(gram, index="mutual_knn")
        itself = xp.eye(gram.n, dtype=xp.bool, device=near.device)
        # A sample is not its own neighbour. At −∞ it sorts before all others and is never reached, since k
        # ≤ n − 2.
        near = xp.where(itself, xp.full_like(near, -xp.inf), near)
        # The cosine of the k-th neighbour splits the others into those that are surely in, those tied for
        # the last places, and the rest.
        last = in_order(near, [gram.n - k])
        nearer, tied = near > last, near == last
        sure, shared = _counts(nearer), _counts(tied)
        if int(xp.min(shared)) == gram.n - 1:
            raise UndefinedIndexError(
                status="degenerate",
                where="mutual_knn",
                expected="samples at different angles from each other",
                found="a layer in which all cosines are equal",
                remedy="Use CKA, or leave this layer out.",
            )
        # The u = k − sure places that are left are shared evenly by the samples that are tied for them.
        shares = xp.astype(k - sure, xp.float64) / xp.astype(shared, xp.float64)
        weights = xp.where(nearer, xp.ones_like(near), xp.zeros_like(near))
        weights = xp.where(tied, shares[:, None], weights)
        return cls(gram.n, k, *_listed(weights, sure + shared))

    @property
    def places(self) -> Array:
        """``[n·w]``, where the weights stand in an n×n matrix read row by row: that of sample j of i is i·n + j."""
        xp = namespace(self.weights)
        own = xp.arange(self.n, device=self.samples.device)
        return xp.reshape(own[:, None] * self.n + self.samples, (-1,))


def mutual_neighbours(sources: Sequence[NeighbourSets], targets: Sequence[NeighbourSets]) -> Array:
    """Return `mutual_knn` of every source with every target, ``[L_x, L_y]``.

    Time O(n·k·L_x·L_y), memory 8·n² bytes for each target, up to half a GiB.

    Raises RowsError where samples or k differ.
    """
    check_same_neighbourhoods(sources, targets)
    xp, n = namespace(sources[0].weights), sources[0].n
    columns = []
    for group in grouped(n, len(targets)):
        beside = weights_beside(targets[group])
        common = [xp.reshape(x.weights, (-1,)) @ xp.take(beside, x.places, axis=0) for x in sources]
        columns.append(xp.stack(common) / (n * sources[0].k))
    return xp.concat(columns, axis=1)


def weights_beside(layers: Sequence[NeighbourSets]) -> Array:
    """Return the n×n weights of L layers, read row by row, as ``[n², L]``. Memory 8·n²·L bytes."""
    xp, like = namespace(layers[0].weights), layers[0].weights
    beside = xp.zeros((layers[0].n ** 2, len(layers)), dtype=like.dtype, device=like.device)
    for column, layer in enumerate(layers):
        # unused places all fall on the diagonal, with weight 0
        beside[layer.places, column] = xp.reshape(layer.weights, (-1,))
    return beside


def check_same_neighbourhoods(sources: Sequence[NeighbourSets], targets: Sequence[NeighbourSets]) -> None:
    """Refuse neighbours among other samples or of another number. Raises RowsError."""
    kinds = sorted({(layer.n, layer.k) for layer in [*sources, *targets]})
    if not sources or not targets or len(kinds) > 1:
        raise RowsError(
            where="mutual_knn",
            expected="at least one source and one target, one k, the same samples",
            found=", ".join(f"k = {k} of {n} samples" for n, k in kinds) or "no layers",
            remedy="Find every layer's neighbours on the same images in the same order, with the same k.",
        )
    namespace(*(layer.weights for layer in [*sources, *targets]))


def _counts(mask: Array) -> Array:
    xp = namespace(mask)
    return xp.sum(xp.astype(mask, xp.int64), axis=1)


def _listed(weights: Array, counts: Array) -> tuple[Array, Array]:
    """Return samples and weights ``[n, w]`` of the nonzero entries of each row, padded to the longest row."""
    xp = namespace(weights)
    n, width = int(weights.shape[0]), int(xp.max(counts))
    rows, columns = xp.nonzero(weights)
    # `nonzero` lists the entries row by row. An entry's number less that of the first of its row is its
    # place in the row.
    first = xp.cumulative_sum(counts) - counts
    entries = rows * width + xp.arange(rows.shape[0], device=rows.device) - xp.take(first, rows)
    # Unused places hold the sample itself with weight 0, so that every row has the same length.
    own = xp.arange(n, device=rows.device)[:, None] + xp.zeros(
        (n, width), dtype=rows.dtype, device=rows.device
    )
    samples, listed = (
        xp.reshape(own, (-1,)),
        xp.zeros((n * width,), dtype=weights.dtype, device=weights.device),
    )
    samples[entries] = columns
    listed[entries] = weights[rows, columns]
    return xp.reshape(samples, (n, width)), xp.reshape(listed, (n, width))


def _check_count(n: int, k: int) -> None:
    if k < 1:
        raise RowsError(
            where="mutual_knn",
            expected="k ≥ 1 neighbours",
            found=f"k = {k}",
            remedy="Ask for at least one neighbour.",
        )
    if n < k + 2:
        raise UndefinedIndexError(
            status="too_few_rows",
            where="mutual_knn",
            expected=f"n ≥ k + 2 = {k + 2} samples",
            found=f"n = {n}",
            remedy="Compare on more samples, or with fewer neighbours.",
        )
