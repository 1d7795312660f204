"""Indices that compare images, and the permutation null, of blocks of layers: all of one block with all of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.linear_null import linear_nulls
from stitchpipe.algebra.null import PermutationNull, draw_permutations, neighbour_null, permutation_null
from stitchpipe.engine.samples.image_comparison import LINEAR
from stitchpipe.engine.samples.kept_images import side_of
from stitchpipe.measures import Number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.engine.numbers import PairNumber
    from stitchpipe.engine.samples.image_comparison import ImagesJob, Named
    from stitchpipe.rows import View

BLOCK_LAYERS = 12
"""Layers on either side of a task: their sample matrices are held at once."""


def compare_images(
    job: ImagesJob, view: View, sources: Sequence[int], targets: Sequence[int]
) -> dict[Named, PairNumber]:
    """Return every index over samples of a block of layers, and the nulls of those of moments.

    Notes
    -----
    Time O(K·n²) a pair for kernels, O(K·n·p·q) for linear indices of pooled images; memory 8·n² bytes a layer for
    each kernel in turn, `BLOCK_LAYERS` on either side.
    """
    names = [name for name in job.indices[view] if name != "cka_minibatch"]
    # Linear indices of pooled images share one set of principal scores; every other index has sides of its own.
    together = [name for name in names if name in LINEAR] if view == "pooled" else []
    groups = [together, *([name] for name in names if name not in together)]
    with threadpool_limits(limits=1):
        orders = draw_permutations(job.n_images, max(1, job.permutations))
        numbers: dict[Named, PairNumber] = {}
        for group in filter(None, groups):
            numbers |= _compare_group(job, view, group, (sources, targets), orders)
        return numbers


def _compare_group(
    job: ImagesJob,
    view: View,
    names: Sequence[str],
    sides: tuple[Sequence[int], Sequence[int]],
    orders: npt.NDArray[Any],
) -> dict[Named, PairNumber]:
    """Return the indices that are computed from one kind of summary."""
    prepared: dict[int, Any] = {}
    missing: dict[int, UndefinedIndexError] = {}
    for index in dict.fromkeys((*sides[0], *sides[1])):
        try:
            prepared[index] = side_of(job, view, index, names[0])
        except UndefinedIndexError as undefined:
            missing[index] = undefined
    numbers: dict[Named, PairNumber] = {}
    for pair in ((source, target) for source in sides[0] for target in sides[1]):
        if at_fault := [layer for layer in pair if layer in missing]:
            refusal = missing[at_fault[0]]
            numbers |= {
                (view, pair, name): job.number(view, pair, name, _refused(refusal, name)) for name in names
            }
    x, y = ([index for index in side if index in prepared] for side in sides)
    if x and y:
        nulls = _nulls(names, view, [prepared[i] for i in x], [prepared[i] for i in y], orders)
        for name, null in nulls.items():
            numbers |= _numbers(job, view, name, (x, y), null)
    return numbers


def _nulls(
    names: Sequence[str], view: View, sources: Sequence[Any], targets: Sequence[Any], orders: npt.NDArray[Any]
) -> Mapping[str, PermutationNull]:
    """Return the observed values of a block and their null."""
    if view == "pooled" and names[0] in LINEAR:
        computed = linear_nulls(sources, targets, orders, indices=tuple({LINEAR[name] for name in names}))
        return {name: computed[LINEAR[name]] for name in names}
    by = neighbour_null if names[0] == "mutual_knn" else permutation_null
    return {names[0]: by(sources, targets, orders)}


def _numbers(
    job: ImagesJob, view: View, name: str, sides: tuple[Sequence[int], Sequence[int]], null: PermutationNull
) -> dict[Named, PairNumber]:
    """Return every pair of a block: its value, and where that stands in the null if there is one."""
    scale = null.calibrated() if job.permutations else None
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
                        null_samples=job.n_images,
                    )
            numbers[view, (source, target), name] = job.number(view, (source, target), name, number)
    return numbers


def _refused(undefined: UndefinedIndexError, name: str) -> Number:
    error = undefined.within(name)
    return Number.missing(error.status, error.reason)
