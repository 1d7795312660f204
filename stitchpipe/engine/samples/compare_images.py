"""Indices that compare images, and the permutation null, of blocks of layers: all of one block with all of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.certainty import PermutationNull, draw_permutations, linear_nulls
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.engine.planning.comparison import by_scores
from stitchpipe.engine.samples.kept_images import side_of
from stitchpipe.measures import Number
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.engine.numbers import PairNumber
    from stitchpipe.engine.samples.image_comparison import ImageComparison, Named
    from stitchpipe.rows import View

BLOCK_LAYERS = 12
"""Layers on either side of a task: their sample matrices are held at once."""


def compare_images(
    comparison: ImageComparison, view: View, sources: Sequence[int], targets: Sequence[int]
) -> dict[Named, PairNumber]:
    """Return every index over samples of a block of layers, and the nulls of those of moments.

    Notes
    -----
    Time O(K·n²) a pair for kernels, O(K·n·p·q) for linear indices of pooled images; memory 8·n² bytes a layer for
    each kernel in turn, `BLOCK_LAYERS` on either side.
    """
    indices = [index_named(name) for name in comparison.indices[view]]
    # Linear indices of pooled images share one set of principal scores; every other index has sides of its own.
    together = [index for index in indices if by_scores(view, index)]
    alone = [index for index in indices if index.of_gram is not None and index not in together]
    groups = [together, *([index] for index in alone)]
    with threadpool_limits(limits=1):
        orders = draw_permutations(comparison.n_images, max(1, comparison.permutations))
        numbers: dict[Named, PairNumber] = {}
        for group in filter(None, groups):
            numbers |= _compare_group(comparison, view, group, (sources, targets), orders)
        return numbers


def _compare_group(
    comparison: ImageComparison,
    view: View,
    indices: Sequence[Index],
    sides: tuple[Sequence[int], Sequence[int]],
    orders: npt.NDArray[Any],
) -> dict[Named, PairNumber]:
    """Return the indices that are computed from one kind of summary."""
    prepared: dict[int, Any] = {}
    missing: dict[int, UndefinedIndexError] = {}
    for layer in dict.fromkeys((*sides[0], *sides[1])):
        try:
            prepared[layer] = side_of(comparison, view, layer, indices[0])
        except UndefinedIndexError as undefined:
            missing[layer] = undefined
    numbers: dict[Named, PairNumber] = {}
    for pair in ((source, target) for source in sides[0] for target in sides[1]):
        if at_fault := [layer for layer in pair if layer in missing]:
            refusal = missing[at_fault[0]]
            numbers |= {
                (view, pair, index.name): comparison.number(
                    view, pair, index.name, _refused(refusal, index.name)
                )
                for index in indices
            }
    x, y = ([layer for layer in side if layer in prepared] for side in sides)
    if x and y:
        nulls = _nulls(view, indices, ([prepared[i] for i in x], [prepared[i] for i in y]), orders)
        for name, null in nulls.items():
            numbers |= _numbers(comparison, view, name, (x, y), null)
    return numbers


def _nulls(
    view: View, indices: Sequence[Index], sides: tuple[list[Any], list[Any]], orders: npt.NDArray[Any]
) -> Mapping[str, PermutationNull]:
    """Return the observed values of a block and their null, by index."""
    if not by_scores(view, indices[0]):
        return {indices[0].name: indices[0].permuted(*sides, orders)}
    shared = {index.name: index.linear_null for index in indices if index.linear_null is not None}
    computed = linear_nulls(*sides, orders, indices=tuple(dict.fromkeys(shared.values())))
    return {name: computed[linear] for name, linear in shared.items()}


def _numbers(
    comparison: ImageComparison,
    view: View,
    name: str,
    sides: tuple[Sequence[int], Sequence[int]],
    null: PermutationNull,
) -> dict[Named, PairNumber]:
    """Return every pair of a block: its value, and where that stands in the null if there is one."""
    scale = null.calibrated() if comparison.permutations else None
    numbers: dict[Named, PairNumber] = {}
    for row, source in enumerate(sides[0]):
        for column, target in enumerate(sides[1]):
            if (row, column) in null.undefined:
                number = _refused(null.undefined[row, column], name)
            else:
                number = Number(float(null.observed[row, column]))
                if scale is not None:
                    number = number.beside(
                        p_value=float(scale.p_value[row, column]),
                        calibrated=float(scale.score[row, column]),
                        null_samples=comparison.n_images,
                    )
            numbers[view, (source, target), name] = comparison.number(view, (source, target), name, number)
    return numbers


def _refused(undefined: UndefinedIndexError, name: str) -> Number:
    error = undefined.within(name)
    return Number.missing(error.status, error.reason)
