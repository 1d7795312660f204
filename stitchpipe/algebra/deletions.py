"""Low-rank deletions: a layer is held against its own first principal components (Ding, Denain and Steinhardt 2021).

An index of similarity should fall as what can be told from a layer falls. Components are deleted from the last on, and
beside each index of the rest with the whole layer stands what a linear probe tells of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.layer_measure import LabelledRows
from stitchpipe.algebra.layers.linear_probe import Scale, told_classes
from stitchpipe.algebra.moments import CentredRows, Moments, PairMoments, centred_pair, in_coordinates_of
from stitchpipe.algebra.samples import SampleGram
from stitchpipe.measures import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stitchpipe.algebra.index import Index

    Float64 = npt.NDArray[np.float64]

MOST_RANKS: Final = 12
"""Ranks that are kept, at most: so often are all indices and a probe computed for a layer, whatever its width."""


@dataclass(frozen=True)
class Deletion:
    """What is left of a layer, held against the whole.

    Attributes
    ----------
    rank
        How many principal components are kept, the first ones.
    variance
        The share of the training images' variance that they hold.
    accuracy
        Of a linear probe of them, on the scored images.
    numbers
        Of each index, in the order of asking, from what is left to the whole layer.
    """

    rank: int
    variance: float
    accuracy: float
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class LayerDeletions:
    """The deletions of a layer, the most that is left first; or why there are none (`status` and `reason`).

    `accuracy` is that of the probe of the whole layer, `rank` how many components the training images have.
    """

    accuracy: float | None = None
    rank: int | None = None
    deletions: tuple[Deletion, ...] = ()
    status: str = "ok"
    reason: str | None = None


def deletion_ranks(rank: int) -> tuple[int, ...]:
    """Return the ranks that are kept of so many components: at most `MOST_RANKS`, in equal ratios down to 1."""
    ladder = np.round(np.geomspace(rank, 1, MOST_RANKS + 1)).astype(int)
    return tuple(sorted({int(kept) for kept in ladder if kept < rank}, reverse=True))


def low_rank_deletions(
    train: LabelledRows,
    scored: LabelledRows,
    indices: Sequence[Index],
    *,
    images: int,
    storage_eps: float,
    ranks: Sequence[int] | None = None,
) -> LayerDeletions:
    """Return what is left of a layer at each of `deletion_ranks`, held against the whole.

    The components are those of the training images, X̂ = μ + (X − μ)VₖVₖᵀ for the images of either split, so that
    nothing is chosen on the scored ones. The probe is that of the whole layer: features in units of their deviation in
    the whole, the same penalty. It is fitted in k coordinates, since the penalty is the same in each orthonormal basis.

    Parameters
    ----------
    train, scored
        All features ``[n, p]``, one row for each image, and its class.
    indices
        Those that compare any two representations (`Measure.of_any_rows`); maps of held-out indices are fitted on the
        training images.
    images
        How many scored images, the first ones, indices over samples rest on.
    storage_eps
        Spacing at 1 of the dtype the rows were kept in.
    ranks
        Others than those of `deletion_ranks`.

    Notes
    -----
    Time: one decomposition, O(n·p·min(n, p)); then, for at most `MOST_RANKS` ranks, O(n·p²) of products, what each
    index costs for a pair, and a probe of k features. Memory: a handful of copies of the rows.
    """
    try:
        components = _Components.of(train, scored, storage_eps)
        whole = float(np.mean(components.told(components.rank)))
        deletions = tuple(
            Deletion(
                kept,
                float(np.sum(components.values[:kept]) / np.sum(components.values)),
                float(np.mean(components.told(kept))),
                _numbers(components, kept, indices, images),
            )
            for kept in (deletion_ranks(components.rank) if ranks is None else ranks)
        )
    except UndefinedIndexError as undefined:
        return LayerDeletions(status=undefined.status, reason=undefined.reason)
    return LayerDeletions(whole, components.rank, deletions)


@dataclass(frozen=True, eq=False)
class _Components:
    """A layer on both splits, and the principal components of its training images.

    `directions` are orthonormal columns ``[p, rank]``, `values` the variances along them, descending.
    """

    train: LabelledRows
    scored: LabelledRows
    mean: Float64
    directions: Float64
    values: Float64
    scale: Scale
    storage_eps: float

    @classmethod
    def of(cls, train: LabelledRows, scored: LabelledRows, storage_eps: float) -> _Components:
        scale = Scale.of(train.rows)
        mean = train.rows.mean(axis=0)
        n, p = train.rows.shape
        if p <= n:
            spectrum = Moments.from_block(train.rows).retained(storage_eps).first(min(p, n - 1))
            directions, values = np.asarray(spectrum.vectors), np.asarray(spectrum.values)
        else:
            # Of fewer images than features a decomposition of the rows is smaller, and as exact.
            _, sizes, rows = np.linalg.svd(train.rows - mean, full_matrices=False)
            kept = sizes > max(storage_eps, np.finfo(np.float64).eps) * np.sqrt(p) * sizes[0]
            directions, values = rows[kept].T, sizes[kept] ** 2
        return cls(train, scored, mean, directions, values, scale, storage_eps)

    @property
    def rank(self) -> int:
        return int(self.directions.shape[1])

    def left(self, rows: Float64, kept: int) -> Float64:
        """Return rows ``[n, p]`` with all but the first components deleted."""
        basis = self.directions[:, :kept]
        return self.mean + ((rows - self.mean) @ basis) @ basis.T

    def told(self, kept: int) -> npt.NDArray[np.bool_]:
        """Return of which scored images a probe of the first components tells the class."""
        vary, basis = self.scale.vary, self.directions[:, :kept]
        # Standardised, what is left is S·B with scores S [n, k] and B = Vₖᵀ/σ. With B = L·Q, Q of orthonormal rows, the
        # weights of the best probe lie among the rows of Q, where S·L has them with the same norm.
        factor = np.asarray(np.linalg.qr(basis[vary] / self.scale.deviation[vary, None], mode="r")).T
        sides = (
            LabelledRows(((side.rows - self.mean) @ basis) @ factor, side.labels)
            for side in (self.train, self.scored)
        )
        is_right, _ = told_classes(*sides)
        return is_right


def _numbers(components: _Components, kept: int, indices: Sequence[Index], images: int) -> tuple[Number, ...]:
    """Return the numbers of some indices, from what is left to the whole."""
    rows = components.scored.rows
    left = components.left(rows, kept)
    eps = components.storage_eps
    of_moments = [index.measure for index in indices if index.measure.computed_from == "moments"]
    held_out = _held_out(components, kept, left) if any(m.held_out for m in of_moments) else None
    plain = Analysis(PairMoments.of(*centred_pair(left, rows)), storage_eps=eps) if of_moments else None
    numbers = []
    for index in indices:
        analysis = held_out if index.measure.held_out else plain
        if index.measure.computed_from == "moments" and analysis is not None:
            numbers.append(index.number(analysis))
        else:
            numbers.append(_over_samples(index, left[:images], rows[:images]))
    return tuple(numbers)


def _held_out(components: _Components, kept: int, left: Float64) -> Analysis:
    """Return the analysis of what is left and the whole with maps that are fitted on the training images."""
    of_train = components.left(components.train.rows, kept), components.train.rows
    sides = [
        in_coordinates_of(CentredRows.of(fitted).narrowed(), CentredRows.of(scored))
        for fitted, scored in zip(of_train, (left, components.scored.rows), strict=True)
    ]
    (fitted_x, scored_x), (fitted_y, scored_y) = sides
    return Analysis(
        PairMoments.of(scored_x, scored_y), PairMoments.of(fitted_x, fitted_y), components.storage_eps
    )


def _over_samples(index: Index, left: Float64, rows: Float64) -> Number:
    """Return the number of an index over samples."""
    side = index.of_gram
    if side is None:
        return Number.missing("not_computed", f"{index.measure.computed_from} of deletions are not formed")
    order = np.arange(len(rows))[None, :]
    try:
        sides = [side(SampleGram.from_block(block)) for block in (left, rows)]
    except UndefinedIndexError as undefined:
        return Number.missing(undefined.status, undefined.within(index.name).reason)
    null = index.permuted(sides[:1], sides[1:], order)
    if (0, 0) in null.undefined:
        why = null.undefined[0, 0]
        return Number.missing(why.status, why.within(index.name).reason)
    return Number(float(null.observed[0, 0]))
