"""A layer as one vector over pairs of samples: the index of two layers is their inner product.

CKA of any kernel, mean squared CCA and RSA are cosines between symmetric matrices over samples. Each layer's
matrix is worked once, scaled to norm 1 and packed; afterwards every pair of layers costs n²/2 multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.inputs import Array, Namespace, namespace
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 8192  # packed entries at a time
_BESIDE_BYTES = 2**29  # of whole matrices side by side


@dataclass(frozen=True, eq=False)
class SampleMatrix:
    """A symmetric matrix over n samples, of Frobenius norm 1.

    Attributes
    ----------
    index
        What its inner product with another layer's is, by its name in results.
    n
        Number of samples.
    values
        ``[n(n+1)/2]``: the lower triangle row by row, what is off the diagonal times √2, so that inner
        products of packed and of whole matrices are the same.
    """

    index: str
    n: int
    values: Array

    @classmethod
    def of(cls, matrix: Array, *, index: str, smallest: float = 0.0) -> SampleMatrix:
        """Scale a symmetric ``[n, n]`` and pack it. Time and memory O(n²).

        Raises
        ------
        UndefinedIndexError
            ``degenerate``: the norm is at most `smallest`, the rounding of what it was computed from.
        """
        xp = namespace(matrix)
        n = int(matrix.shape[0])
        norm = float(xp.linalg.vector_norm(matrix))
        if norm <= smallest:
            raise UndefinedIndexError(
                status="degenerate",
                where=index,
                expected="samples whose mutual similarities differ",
                found=f"a layer whose {n} samples are all equally similar",
                remedy="Use another index, or more samples.",
            )
        # The lower triangle is half of a symmetric matrix. With √2 off the diagonal, its inner products are
        # those of the whole.
        packed = matrix[lower_triangle(xp, n, matrix.device)] / norm
        return cls(index, n, packed * packing_weights(xp, n, matrix.device))

    @property
    def whole(self) -> Array:
        """The matrix itself, ``[n, n]``. Time and memory O(n²)."""
        xp, n = namespace(self.values), self.n
        whole = xp.zeros((n, n), dtype=self.values.dtype, device=self.values.device)
        whole[lower_triangle(xp, n, self.values.device)] = self.values / packing_weights(
            xp, n, self.values.device
        )
        diagonal = xp.linalg.diagonal(whole)
        return whole + whole.T - xp.eye(n, dtype=whole.dtype, device=self.values.device) * diagonal[None, :]


def alignments(sources: Sequence[SampleMatrix], targets: Sequence[SampleMatrix]) -> Array:
    """Return the index of every source with every target, ``[L_x, L_y]``. Time O(n²·L_x·L_y).

    The error is a few eps. Raises RowsError where the matrices are of different indices or samples.
    """
    check_comparable(sources, targets)
    xp, like = namespace(sources[0].values), sources[0].values
    total = xp.zeros((len(sources), len(targets)), dtype=like.dtype, device=like.device)
    # A chunk of all layers stays in the cache while it is multiplied. Stacking whole matrices would copy
    # them all once more.
    for part in chunks(int(like.shape[0])):
        left = xp.stack([matrix.values[part] for matrix in sources])
        total += left @ xp.stack([matrix.values[part] for matrix in targets]).T
    return within_unit(total)


def alignment(x: SampleMatrix, y: SampleMatrix) -> float:
    """Return the index of one pair, as `alignments`."""
    return float(alignments([x], [y])[0, 0])


def within_unit(cosines: Array) -> Array:
    """Return cosines cut to [−1, 1], which only the rounding of their norms can have carried them out of."""
    return namespace(cosines).clip(cosines, -1.0, 1.0)


def check_comparable(sources: Sequence[SampleMatrix], targets: Sequence[SampleMatrix]) -> None:
    """Refuse matrices of different indices, numbers of samples or array libraries. Raises RowsError."""
    layers = [*sources, *targets]
    kinds = sorted({(layer.index, layer.n) for layer in layers})
    if not sources or not targets or len(kinds) > 1:
        raise RowsError(
            where="sample matrices",
            expected="at least one source and one target, of one index on the same samples",
            found=", ".join(f"{index} on {n} samples" for index, n in kinds) or "no layers",
            remedy="Work every layer's matrix with the same function, on the same images in the same order.",
        )
    namespace(*(layer.values for layer in layers))


def chunks(entries: int) -> list[slice]:
    """Return ranges of packed entries that a cache holds for a few dozen layers."""
    return [slice(first, first + _CHUNK) for first in range(0, entries, _CHUNK)]


def grouped(n: int, layers: int) -> list[slice]:
    """Return consecutive groups of layers whose n×n matrices side by side take at most half a GiB."""
    size = max(1, _BESIDE_BYTES // (8 * n * n))
    return [slice(first, min(first + size, layers)) for first in range(0, layers, size)]


def doubly_centred(kernel: Array) -> Array:
    """Return HKH with H = I − 11ᵀ/n."""
    xp = namespace(kernel)
    # The kernel is symmetric, so the means of its rows are those of its columns. The grand mean is
    # subtracted once, with the second of them.
    row_means = xp.mean(kernel, axis=1)
    centred = kernel - row_means[:, None]
    centred -= (row_means - xp.mean(row_means))[None, :]
    return centred


def u_centred(kernel: Array, *, index: str) -> Array:
    """Return the U-centred kernel: zero diagonal, and every row sums to zero.

    Ũᵢⱼ = Kᵢⱼ − Σₗ Kᵢₗ/(n−2) − Σₗ Kₗⱼ/(n−2) + ΣK/((n−1)(n−2)) for i ≠ j, the diagonal of K left out. Inner
    products of such matrices over n(n−3) are the unbiased HSIC (Song et al. 2012; Székely and Rizzo 2014).

    Raises
    ------
    UndefinedIndexError
        ``too_few_rows``: n < 4.
    """
    xp = namespace(kernel)
    n = int(kernel.shape[0])
    if n < 4:
        raise UndefinedIndexError(
            status="too_few_rows",
            where=index,
            expected="n ≥ 4 samples for the unbiased estimator",
            found=f"n = {n}",
            remedy="Compare on more samples, or ask for the biased form.",
        )
    # Half of the grand term goes with each of the two subtractions below, which together leave
    # ΣK/((n−1)(n−2)).
    means = (xp.sum(kernel, axis=1) - xp.linalg.diagonal(kernel)) / (n - 2)
    means = means - xp.sum(means) / (2 * (n - 1))
    centred = kernel - means[:, None]
    centred -= means[None, :]
    position = xp.arange(n, device=kernel.device)
    centred[position, position] = 0.0
    return centred


def aligned(kernel: Array, *, index: str, debiased: bool) -> SampleMatrix:
    """Centre a kernel ``[n, n]`` over samples, scale it and pack it.

    Raises
    ------
    UndefinedIndexError
        ``too_few_rows`` (debiased, n < 4); ``degenerate`` (all samples equally similar).
    """
    if not debiased:
        return SampleMatrix.of(doubly_centred(kernel), index=index)
    norm = float(namespace(kernel).linalg.vector_norm(kernel))
    # U-centring takes the diagonal away, and for equally distant samples nothing but rounding of the whole
    # kernel is left.
    rounding = 64.0 * EPS64 * sqrt(kernel.shape[0]) * norm
    return SampleMatrix.of(u_centred(kernel, index=index), index=index, smallest=rounding)


def lower_triangle(xp: Namespace, n: int, device: Any) -> Array:
    """Return which entries of ``[n, n]`` are packed."""
    position = xp.arange(n, device=device)
    return position[None, :] <= position[:, None]


def packing_weights(xp: Namespace, n: int, device: Any) -> Array:
    """Return 1 on the diagonal and √2 off it, packed."""
    weights = xp.full((n * (n + 1) // 2,), sqrt(2.0), dtype=xp.float64, device=device)
    position = xp.arange(n, device=device)
    # The diagonal entry of row i is the last of its row in the packed triangle, at i(i+1)/2 + i = i(i+3)/2.
    weights[position * (position + 3) // 2] = 1.0
    return weights
