"""Indices that compare images, and the permutation null: what is kept of each layer, then blocks of layers.

Kernels, neighbours and dissimilarities of samples cannot be merged row by row, so they rest on the first
`MOST_IMAGES` images of a split, which are a random choice: row groups are dealt by a hash of the sample. The image
is the unit; views with several rows per image have no such index and no null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.grams import MOST_IMAGES, SampleGram
from stitchpipe.algebra.kernels import linear_kernel, rbf_kernel
from stitchpipe.algebra.linear_null import linear_nulls
from stitchpipe.algebra.minibatch import BATCH_ROWS, MinibatchHSIC
from stitchpipe.algebra.neighbours import NeighbourSets
from stitchpipe.algebra.null import PermutationNull, draw_permutations, neighbour_null, permutation_null
from stitchpipe.algebra.rdm import ranked_dissimilarities
from stitchpipe.algebra.scores import PrincipalScores
from stitchpipe.engine.keys import images_key, images_work_key
from stitchpipe.engine.numbers import PairNumber
from stitchpipe.engine.planning.shapes import STORAGE_EPS, LayerShape, SplitShape
from stitchpipe.engine.reading import open_layer
from stitchpipe.engine.samples.batch_sums import has_batches, read_batches
from stitchpipe.measures import Number
from stitchpipe.registry import index_measure
from stitchpipe.rows import View, to_rows, width_of
from storage import Address, Representation, Store, Summaries

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.engine.planning.tiles import Pair

POOLED, GRAM = "images", "gram"
"""The kinds of summaries that are kept: pooled images ``[m, p]``, and sample Grams ``[m, m]`` of flattened ones."""
FEATURES = 4096
"""Flattened features that become rows at a time."""
BLOCK_LAYERS = 12
"""Layers on either side of a task: their sample matrices are held at once."""

LINEAR = {"cka": "cka", "cka_biased": "cka_biased", "rv": "cka_biased", "cca_sq": "cca_sq"}
"""Indices of moments with a permutation null, and what it is computed as."""
KERNELS: Mapping[str, Callable[[SampleGram], Any]] = {
    "cka": linear_kernel,
    "cka_biased": lambda gram: linear_kernel(gram, debiased=False),
    "cka_rbf": rbf_kernel,
    "rsa": ranked_dissimilarities,
    "mutual_knn": NeighbourSets.of,
}
"""Each layer's side of the indices over samples."""


def indices_of_images(
    view: View, names: Sequence[str], layers: Sequence[LayerShape], n_images: int
) -> tuple[str, ...]:
    """Return those of some indices whose values are computed from images and not from moments.

    Besides the indices over samples and minibatches that is linear CKA of flattened layers, where any of them has
    more features than there are images: its moments would be larger than its Gram.
    """
    wide = view == "flatten" and any(width_of(layer.shape, view) > n_images for layer in layers)
    return tuple(
        name
        for name in names
        if index_measure(name).computed_from in ("samples", "minibatches")
        or (wide and name in LINEAR and name != "cca_sq")
    )


Named: TypeAlias = "tuple[View, Pair, str]"
"""An index of a pair under a view."""


@dataclass(frozen=True)
class ImagesJob:
    """What every task over images is given.

    Attributes
    ----------
    store
        None where activations were never kept, and whoever ran the networks left what is needed of them.
    layers, split
        The split is the one scored: the last of each layer's fingerprints is its.
    indices
        By view, those over samples and those of moments that get a null.
    permutations
        Of the null, and 0 for none.
    """

    store: Store | None
    summaries: Summaries
    layers: tuple[LayerShape, ...]
    split: SplitShape
    indices: Mapping[View, tuple[str, ...]]
    permutations: int

    @property
    def n_images(self) -> int:
        """Return how many images the indices over samples rest on."""
        return min(MOST_IMAGES, self.split.n_samples)

    def reader(self, index: int) -> Representation:
        """Open a layer on the scored split."""
        layer = self.layers[index]
        address = Address(self.split.dataset, self.split.name, layer.model, layer.layer)
        return open_layer(self.store, address, layer.fingerprints[-1])

    def key(self, index: int, view: View) -> str:
        """Return the key of what is kept of a layer's images."""
        return images_key(self.layers[index], view, self.n_images)

    def number(
        self, view: View, pair: Pair, index: str, number: Number, images: int | None = None
    ) -> PairNumber:
        """Return a record of a number that was computed from so many images; default: those of samples."""
        p, q = (width_of(self.layers[layer].shape, view) for layer in pair)
        n = self.n_images if images is None else images
        return PairNumber(view=view, pair=pair, index=index, number=number, n_samples=n, n_rows=n, p=p, q=q)

    def work_key(self, view: View, what: str, leaf: int) -> str:
        """Return the key under which work in progress on a leaf's images is kept."""
        return images_work_key(self.layers, self.split, view, what, leaf)


def keep_images(job: ImagesJob, index: int, view: View) -> None:
    """Keep what the indices over samples need of a layer; what is there already is not read again.

    Pooled images are kept as they are, flattened ones as their Gram. Neither needs the activations any more.

    Raises
    ------
    storage.StoreError
        The representation is missing or damaged.
    """
    kind = POOLED if view == "pooled" else GRAM
    if job.summaries.has(kind, job.key(index, view)):
        return
    with threadpool_limits(limits=1):
        stored = job.reader(index).read_rows(np.arange(job.n_images))
        if view == "pooled":
            keep_pooled(job, index, to_rows(stored, view))
            return
        gram = _gram(stored.reshape(len(stored), -1))
        arrays = {name: np.asarray(value) for name, value in asdict(gram).items()}
        job.summaries.write(kind, job.key(index, view), arrays, _about(job, index, view))


def keep_pooled(job: ImagesJob, index: int, rows: npt.NDArray[np.float64]) -> None:
    """Keep the pooled images ``[n_images, p]`` of a layer."""
    job.summaries.write(POOLED, job.key(index, "pooled"), {"rows": rows}, _about(job, index, "pooled"))


def is_pooled(job: ImagesJob, index: int) -> bool:
    """Return whether a layer's pooled images are kept."""
    return job.summaries.has(POOLED, job.key(index, "pooled"))


def _about(job: ImagesJob, index: int, view: View) -> dict[str, str]:
    layer = job.layers[index]
    return {"model": layer.model, "layer": layer.layer, "view": view, "fingerprint": layer.fingerprints[-1]}


def _gram(flat: npt.NDArray[Any]) -> SampleGram:
    """Return the Gram of flattened images, formed over blocks of features."""
    total: SampleGram | None = None
    for start in range(0, flat.shape[1], FEATURES):
        block = SampleGram.from_block(flat[:, start : start + FEATURES].astype(np.float64))
        total = block if total is None else total.merge(block)
    if total is None:
        raise ValueError("a layer without features")
    return total


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
    together = [name for name in names if name in LINEAR] if view == "pooled" else []
    groups = [together, *([name] for name in names if name not in together)]
    with threadpool_limits(limits=1):
        orders = draw_permutations(job.n_images, max(1, job.permutations))
        found: dict[Named, PairNumber] = {}
        for group in filter(None, groups):
            found |= _compare_group(job, view, group, (sources, targets), orders)
        return found


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
            prepared[index] = _side(job, view, index, names[0])
        except UndefinedIndexError as undefined:
            missing[index] = undefined
    found: dict[Named, PairNumber] = {}
    for pair in ((source, target) for source in sides[0] for target in sides[1]):
        for layer in [index for index in pair if index in missing][:1]:
            found |= {
                (view, pair, name): job.number(view, pair, name, _undefined(missing[layer], name))
                for name in names
            }
    x, y = ([index for index in side if index in prepared] for side in sides)
    if x and y:
        nulls = _nulls(names, view, [prepared[i] for i in x], [prepared[i] for i in y], orders)
        for name, null in nulls.items():
            found |= _outcomes(job, view, name, (x, y), null)
    return found


def _side(job: ImagesJob, view: View, index: int, name: str) -> Any:
    """Return a layer's side of an index, from what is kept of it. Raises UndefinedIndexError."""
    arrays = job.summaries.read(POOLED if view == "pooled" else GRAM, job.key(index, view)).arrays
    if view != "pooled":
        return KERNELS[LINEAR.get(name, name)](_kept_gram(arrays))
    if name in LINEAR:
        eps = STORAGE_EPS[job.layers[index].itemsize]
        return PrincipalScores.from_rows(arrays["rows"], storage_eps=eps)
    return KERNELS[name](SampleGram.from_block(arrays["rows"]))


def _kept_gram(arrays: Mapping[str, npt.NDArray[Any]]) -> SampleGram:
    found = {one.name: arrays[one.name] for one in fields(SampleGram)}
    whole: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in found.items()}
    return SampleGram(**whole)


def _nulls(
    names: Sequence[str], view: View, sources: Sequence[Any], targets: Sequence[Any], orders: npt.NDArray[Any]
) -> Mapping[str, PermutationNull]:
    """Return the observed values of a block and their null."""
    if view == "pooled" and names[0] in LINEAR:
        computed = linear_nulls(sources, targets, orders, indices=tuple({LINEAR[name] for name in names}))
        return {name: computed[LINEAR[name]] for name in names}
    by = neighbour_null if names[0] == "mutual_knn" else permutation_null
    return {names[0]: by(sources, targets, orders)}


def _outcomes(
    job: ImagesJob, view: View, name: str, sides: tuple[Sequence[int], Sequence[int]], null: PermutationNull
) -> dict[Named, PairNumber]:
    scale = null.calibrated() if job.permutations else None
    found: dict[Named, PairNumber] = {}
    for row, source in enumerate(sides[0]):
        for column, target in enumerate(sides[1]):
            if (row, column) in null.undefined:
                number = _undefined(null.undefined[row, column], name)
            else:
                number = Number(float(null.observed[row, column]))
                if scale is not None:
                    number = number.beside(
                        p_value=float(scale.p_value[row, column]),
                        calibrated=float(scale.score[row, column]),
                        null_samples=job.n_images,
                    )
            found[view, (source, target), name] = job.number(view, (source, target), name, number)
    return found


def _undefined(undefined: UndefinedIndexError, name: str) -> Number:
    error = undefined.within(name)
    return Number.missing(error.status, error.reason)


def minibatches(job: ImagesJob, view: View, leaf: int) -> MinibatchHSIC | None:
    """Return the HSIC of all layers over the batches of one leaf; None where it has no batch of 4 images."""
    key = job.work_key(view, "batches", leaf)
    if has_batches(job.summaries, key):
        return read_batches(job.summaries, key)
    total: MinibatchHSIC | None = None
    readers = [job.reader(index) for index in range(len(job.layers))]
    with threadpool_limits(limits=1):
        for row_group in job.split.leaves()[leaf]:
            for first, last in batch_bounds(*job.split.row_groups[row_group]):
                batch = MinibatchHSIC.from_batch(_Batch(readers, np.arange(first, last), view))
                total = batch if total is None else total.merge(batch)
    return total


def batch_bounds(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the batches of a row group: `BATCH_ROWS` adjacent images, and what is left of it where it is 4 or more."""
    for first in range(start, stop, BATCH_ROWS):
        last = min(stop, first + BATCH_ROWS)
        if last - first >= 4:
            yield first, last


def minibatch_outcomes(
    job: ImagesJob, view: View, leaves: Sequence[MinibatchHSIC | None]
) -> dict[Named, PairNumber]:
    """Return minibatch CKA of all pairs from the HSIC of the leaves, merged in order."""
    name = "cka_minibatch"
    total: MinibatchHSIC | None = None
    for leaf in leaves:
        total = leaf if total is None else total if leaf is None else total.merge(leaf)
    found: dict[Named, PairNumber] = {}
    for source in range(len(job.layers)):
        for target in range(source, len(job.layers)):
            images = None
            try:
                if total is None:
                    raise _no_batch(job)
                number, images = Number(total.cka(source, target)), total.n
            except UndefinedIndexError as undefined:
                number = _undefined(undefined, name)
            found[view, (source, target), name] = job.number(view, (source, target), name, number, images)
    return found


def _no_batch(job: ImagesJob) -> UndefinedIndexError:
    return UndefinedIndexError(
        status="too_few_rows",
        where="cka_minibatch",
        expected="a row group of at least 4 images",
        found=f"{job.split.n_samples} images in {len(job.split.row_groups)} row groups",
        remedy="Dump fewer row groups, or more images.",
    )


class _Batch(Sequence["npt.NDArray[np.float64]"]):
    """One batch of every layer, read when it is asked for: one layer at a time is held."""

    def __init__(self, readers: Sequence[Representation], rows: npt.NDArray[np.int64], view: View) -> None:
        self._readers, self._rows, self._view = readers, rows, view

    def __len__(self) -> int:
        return len(self._readers)

    def __getitem__(self, place: Any) -> Any:
        return to_rows(self._readers[place].read_rows(self._rows), self._view)
