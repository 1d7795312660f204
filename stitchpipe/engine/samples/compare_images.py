"""Indices that compare images, and the permutation null, of blocks of layers: all of one block with all of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.certainty import closed_null, linear_nulls
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.engine.numbers import DEFINED
from stitchpipe.engine.planning.comparison import by_scores
from stitchpipe.engine.samples.family_numbers import ComparedPairs
from stitchpipe.engine.samples.kept_images import side_of
from stitchpipe.engine.samples.kept_null_sums import kept_null_sums
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.algebra.certainty import ClosedNull, PermutationNull
    from stitchpipe.engine.numbers import Float64, Note
    from stitchpipe.engine.planning.pairs import Pairs
    from stitchpipe.engine.samples.families import Families, Orders
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import View

BLOCK_LAYERS = 12
"""Layers on either side of a task: their sample matrices are held at once."""


def blocks_of(families: Families, pairs: Pairs) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the blocks, on the diagonal or above it, that hold some pair in either direction."""
    runs = families.runs(pairs.layers, BLOCK_LAYERS)
    run_of = np.zeros(len(families.models), np.int64)
    for number, run in enumerate(runs):
        run_of[run] = number
    meet = np.zeros((len(runs), len(runs)), np.bool_)
    meet[tuple(run_of[pairs.places].T)] = True
    for first, second in np.argwhere(np.triu(meet | meet.T)).tolist():
        yield runs[first], runs[second]


def compare_images(
    comparison: ImageComparison, view: View, sources: Sequence[int], targets: Sequence[int]
) -> ComparedPairs:
    """Return every index over samples of a block of layers, and the nulls of those of moments.

    The blocks of a comparison lie on or above the diagonal, and each pair is compared in one direction: sources have
    the smaller numbers. Of blocks on the diagonal that is half.

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
        drawn = comparison.n_images, max(1, comparison.permutations), comparison.exchanged
        parts = list(comparison.families.parts((sources, targets), *drawn))
        return ComparedPairs.joined(
            [
                pairs
                for group in filter(None, groups)
                for pairs in _compare_group(comparison, view, group, (sources, targets), parts)
            ]
        )


def _compare_group(
    comparison: ImageComparison,
    view: View,
    indices: Sequence[Index],
    sides: tuple[Sequence[int], Sequence[int]],
    parts: Sequence[tuple[list[int], list[int], Orders]],
) -> list[ComparedPairs]:
    """Return the indices that are computed from one kind of summary."""
    prepared: dict[int, Any] = {}
    missing: dict[int, UndefinedIndexError] = {}
    for layer in dict.fromkeys((*sides[0], *sides[1])):
        try:
            prepared[layer] = side_of(comparison, view, layer, indices[0])
        except UndefinedIndexError as undefined:
            missing[layer] = undefined
    compared = [_refusals(comparison, view, index.name, sides, missing) for index in indices]
    for sources, targets, orders in parts:
        x, y = ([layer for layer in side if layer in prepared] for side in (sources, targets))
        if x and y:
            nulls = _nulls(view, indices, ([prepared[i] for i in x], [prepared[i] for i in y]), orders)
            for index in indices:
                closed = _closed_null(comparison, view, index, (x, y))
                null = nulls[index.name]
                compared.append(_calibrated(comparison, view, index.name, (x, y), null, closed))
    return compared


def _nulls(
    view: View, indices: Sequence[Index], sides: tuple[list[Any], list[Any]], orders: npt.NDArray[Any]
) -> Mapping[str, PermutationNull]:
    """Return the observed values of a block and their null, by index."""
    if not by_scores(view, indices[0]):
        return {indices[0].name: indices[0].permuted(*sides, orders)}
    shared = {index.name: index.linear_null for index in indices if index.linear_null is not None}
    computed = linear_nulls(*sides, orders, indices=tuple(dict.fromkeys(shared.values())))
    return {name: computed[linear] for name, linear in shared.items()}


def _closed_null(
    comparison: ImageComparison, view: View, index: Index, sides: tuple[list[int], list[int]]
) -> ClosedNull | None:
    """Return the null of all pairs of a block in closed form; None where the index has none, or images have groups."""
    if not index.measure.closed_null or comparison.split.groups is not None:
        return None
    x, y = (kept_null_sums(comparison, layers, view, index) for layers in sides)
    return closed_null(*x.across(y))


def _refusals(
    comparison: ImageComparison,
    view: View,
    name: str,
    sides: tuple[Sequence[int], Sequence[int]],
    missing: Mapping[int, UndefinedIndexError],
) -> ComparedPairs:
    """Return why pairs have no value of which a layer has no side of the index; of two reasons the source's."""
    pairs = [(x, y) for x in sides[0] for y in sides[1] if x <= y and (x in missing or y in missing)]
    notes = [_note(missing[x] if x in missing else missing[y], name) for x, y in pairs]
    return ComparedPairs.without_null(
        comparison.numbers(
            view, name, np.array(pairs, np.int32).reshape(-1, 2), np.full(len(pairs), np.nan), notes
        )
    )


def _calibrated(
    comparison: ImageComparison,
    view: View,
    name: str,
    sides: tuple[Sequence[int], Sequence[int]],
    null: PermutationNull,
    closed: ClosedNull | None,
) -> ComparedPairs:
    """Return every pair of a block: its value, and where that stands in its null and its families if there are any."""
    pairs = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)
    is_counted = pairs[:, 0] <= pairs[:, 1]
    undefined = {
        (sides[0][row], sides[1][column]): _note(error, name)
        for (row, column), error in null.undefined.items()
    }
    notes = [undefined.get((x, y), DEFINED) for x, y in pairs[is_counted].tolist()]
    is_defined = np.array([note == DEFINED for note in notes], np.bool_)

    def of_counted(of_block: Any) -> Float64:
        return np.where(is_defined, np.asarray(of_block).reshape(-1)[is_counted], np.nan)

    numbers = comparison.numbers(view, name, pairs[is_counted], of_counted(null.observed), notes)
    if closed is not None:
        beside = closed.beside(np.asarray(null.observed))
        if comparison.permutations:
            beside["null_gap"] = closed.gap(np.asarray(null.null))
        numbers = numbers.with_columns(
            extras={name: of_counted(of_block) for name, of_block in beside.items()}
        )
    if not comparison.permutations:
        return ComparedPairs.without_null(numbers)
    found = null.calibrated()
    images = np.where(is_defined, float(comparison.n_images), np.nan)
    extras = {
        **numbers.extras,
        "p_value": of_counted(found.p_value),
        "calibrated": of_counted(found.score),
        "null_samples": images,
    }
    drawn = np.asarray(null.null).reshape(len(null.null), -1)[:, is_counted]
    return ComparedPairs.of(comparison.families, numbers.with_columns(extras=extras), drawn)


def _note(undefined: UndefinedIndexError, name: str) -> Note:
    error = undefined.within(name)
    return error.status, error.reason
