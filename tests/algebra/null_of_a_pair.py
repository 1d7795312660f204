"""The permutation test of one pair of representations held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.certainty import (
    LINEAR_INDICES,
    PERMUTATIONS,
    draw_permutations,
    linear_nulls,
    neighbour_null,
    permutation_null,
)
from stitchpipe.algebra.indices.cka_rbf import rbf_kernel
from stitchpipe.algebra.indices.rsa import ranked_dissimilarities
from stitchpipe.algebra.inputs import Array, paired_rows, stored_spacing
from stitchpipe.algebra.samples import NeighbourSets, PrincipalScores, SampleGram
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.algebra.certainty import PermutationNull
    from stitchpipe.algebra.samples import SampleMatrix


@dataclass(frozen=True)
class CalibratedValue:
    """The value of an index and what its permutation null says of it; the terms are those of `Calibration`."""

    value: float
    threshold: float
    score: float
    p_value: float
    permutations: int
    level: float


def permutation_test(
    X: Array,
    Y: Array,
    *,
    index: str = "cka",
    permutations: int = PERMUTATIONS,
    level: float = 0.05,
    seed: int = 0,
) -> CalibratedValue:
    """Return an index of paired rows ``X [n, p]``, ``Y [n, q]``, its p-value and its calibrated score.

    Tests whether the rows of Y could as well belong to other rows of X, by exact permutation of the samples.

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y. One row per image: the test takes rows for exchangeable.
    index
        One of `TESTABLE`.
    permutations
        K; the smallest p is 1/(K + 1).
    level
        The score is above 0 exactly where p ≤ level.
    seed
        Of the permutations.

    Raises
    ------
    RowsError
        Unusable arrays; a level below 1/(K + 1).
    UnknownNameError
        There is no null for that index.
    UndefinedIndexError
        The index has no value here.

    Notes
    -----
    For `cka`, `cka_biased` and `cca_sq` time O(K·n·min(p·q, n)); for the others O(K·n²), mutual neighbours O(K·n·k).
    Memory O(n²), or O(n·(p + q)) for narrow rows and the first three. Gröger et al. 2026.
    """
    if index not in TESTABLE:
        raise UnknownNameError(
            where="permutation test",
            expected="one of " + ", ".join(TESTABLE),
            found=repr(index),
            remedy="Choose an index that is an inner product over samples.",
        )
    eps = stored_spacing(X, Y)
    X, Y = paired_rows(X, Y)
    orders = draw_permutations(X.shape[0], permutations, seed=seed)
    null = TESTABLE[index](X, Y, eps, orders)
    value, _ = null.of_pair(0, 0)
    found = null.calibrated(level=level)
    threshold, score, p_value = (
        float(entry[0, 0]) for entry in (found.threshold, found.score, found.p_value)
    )
    return CalibratedValue(value, threshold, score, p_value, permutations, level)


def _linear(index: str) -> Callable[[Array, Array, float, Array], PermutationNull]:
    def null(X: Array, Y: Array, eps: float, orders: Array) -> PermutationNull:
        x, y = (PrincipalScores.from_rows(rows, storage_eps=eps) for rows in (X, Y))
        return linear_nulls([x], [y], orders, indices=(index,))[index]

    return null


def _of_matrices(
    matrix: Callable[[SampleGram], SampleMatrix],
) -> Callable[[Array, Array, float, Array], PermutationNull]:
    def null(X: Array, Y: Array, _: float, orders: Array) -> PermutationNull:
        x, y = (matrix(SampleGram.from_block(rows)) for rows in (X, Y))
        return permutation_null([x], [y], orders)

    return null


def _of_neighbours(X: Array, Y: Array, _: float, orders: Array) -> PermutationNull:
    x, y = (NeighbourSets.of(SampleGram.from_block(rows)) for rows in (X, Y))
    return neighbour_null([x], [y], orders)


TESTABLE: Mapping[str, Callable[[Array, Array, float, Array], PermutationNull]] = MappingProxyType(
    {
        **{index: _linear(index) for index in LINEAR_INDICES},
        "cka_rbf": _of_matrices(rbf_kernel),
        "cka_rbf_biased": _of_matrices(lambda gram: rbf_kernel(gram, debiased=False)),
        "rsa": _of_matrices(ranked_dissimilarities),
        "mutual_knn": _of_neighbours,
    }
)
"""Every index with an exact permutation null, and how to form it."""
