"""Layers of one width on one grid, decomposed together."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from stitchpipe.algebra.batches.slices import SLICE_BYTES, Flags, Floats, Integers, inner
from stitchpipe.algebra.certainty.closed_null import LEAST_IMAGES, GramSums
from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.moments import Moments
from stitchpipe.algebra.spectrum import EPS64, ROUNDING, Neurons, Spectrum

DOUBT = 1.0 + 1e-6
"""A batch decides by bounds that are stricter by this: what lies between is left to the scalar formula."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Which leading directions of each layer count, and how they are scaled.

    Attributes
    ----------
    rank
        ``[L]``.
    condition
        ``[L]``: the ratio of the largest to the smallest scale; 1.0 where there are none.
    whitening
        ``[L, k]``: what a direction is multiplied by; 0 beyond the rank.
    shares
        ``[L, k]``: what a penalty leaves of a direction; 1 without one, 0 beyond the rank.
    """

    rank: Integers
    condition: Floats
    whitening: Floats
    shares: Floats

    def between(self, other: Directions, ix: Integers, iy: Integers) -> tuple[Integers, Floats]:
        """Return the smaller rank and the larger condition of pairs of layers, ``[B]`` each."""
        rank = np.minimum(self.rank[ix], other.rank[iy])
        return rank, np.maximum(self.condition[ix], other.condition[iy])


@dataclass(frozen=True, eq=False)
class LayerBatch:
    """L layers of width p whose rows are of the same samples on the same grid.

    What is computed of them (`spectrum` and all that follows from it) is computed once for all layers, when it is
    first needed, and kept: 8·p² bytes a layer, and as much again for each other batch of layers whose maps they are
    scored by.

    Attributes
    ----------
    n
        Number of rows.
    mean
        ``[L, p]``.
    comoment
        ``[L, p, p]``, the centred sums of products of each layer.
    storage_eps
        ``[L]``, spacing at 1 of the dtype in which each layer was kept.
    norm_squares
        ``[L]``, Σᵢkᵢ² of the squared norms kᵢ = ‖x̃ᵢ‖² (`NormProducts.xx`); None where they were not accumulated.
    largest
        ``[L]``, the largest mean of a neuron, where columns are coordinates and not the neurons themselves: rounding at
        storage went with the size of what was stored.

    Raises
    ------
    MomentsError
        Shapes that do not belong together.
    """

    n: int
    mean: Floats
    comoment: Floats
    storage_eps: Floats
    norm_squares: Floats | None = None
    largest: Floats | None = None
    _moments: dict[int, Moments] = field(default_factory=dict, init=False, repr=False)
    _leading: dict[float, Directions] = field(default_factory=dict, init=False, repr=False)
    _penalised: dict[float, Directions] = field(default_factory=dict, init=False, repr=False)
    _projected: dict[int, tuple[LayerBatch, Floats, Floats]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        count, p = self.mean.shape
        norms = (count,) if self.norm_squares is None else self.norm_squares.shape
        found = (self.comoment.shape, self.storage_eps.shape, norms)
        if found != ((count, p, p), (count,), (count,)) or self.n < 1:
            raise MomentsError(
                where="moments of a batch of layers",
                expected=f"n ≥ 1 and shapes {((count, p, p), (count,), (count,))} for means of {count} layers",
                found=f"n = {self.n} and shapes {found}",
                remedy="Stack the moments of layers of one width.",
            )

    def __len__(self) -> int:
        return len(self.comoment)

    @property
    def p(self) -> int:
        """The width of every layer."""
        return int(self.mean.shape[1])

    @property
    def held(self) -> int:
        """How many directions are kept: n centred rows span n − 1 at most, the others are rounding."""
        return max(1, min(self.p, self.n - 1))

    @cached_property
    def sizes(self) -> Floats:
        """The norm of every centred column, ``[L, p]``."""
        diagonals = np.diagonal(self.comoment, axis1=1, axis2=2)
        return np.asarray(np.sqrt(np.clip(diagonals, 0.0, None)))

    @cached_property
    def total(self) -> Floats:
        """Σ‖x̃ᵢ‖², the trace of each comoment, ``[L]``."""
        diagonals = np.ascontiguousarray(np.diagonal(self.comoment, axis1=1, axis2=2))
        return np.asarray(diagonals.sum(axis=-1))

    @cached_property
    def varies(self) -> Flags:
        """Which layers certainly vary beyond the rounding of their mean, ``[L]`` (`guards.variation`)."""
        spread = np.sqrt(np.clip(self.total, 0.0, None))
        # As in `guards`: equal rows leave about eps·√n·‖mean‖.
        bound = 8.0 * EPS64 * np.sqrt(self.n) * np.linalg.vector_norm(self.mean, axis=-1)
        return np.asarray((spread > DOUBT * bound) & (self.n >= 2))

    @cached_property
    def scale(self) -> Floats:
        """‖X̃‖_F, ``[L]``; infinite for layers that do not vary, which turns all that it divides into zeros."""
        spread = np.sqrt(np.clip(self.total, 0.0, None))
        return np.where(self.varies, spread, np.inf)

    @cached_property
    def inverse_participation(self) -> Floats:
        """‖C‖²_F/(tr C)² of each comoment C, ``[L]``; 0 for layers that do not vary."""
        found = np.zeros(len(self))
        total = np.where(self.varies, self.total, np.inf)
        for rows in self._slices():
            scaled = self.comoment[rows] / total[rows, None, None]
            found[rows] = inner(scaled, scaled)
        return found

    @cached_property
    def gram_sums(self) -> GramSums | None:
        """What a closed-form null needs of the Grams of the rows, ``[L]`` each; None without norms of rows.

        Time O(L·p³), once. NaN for layers that do not vary.
        """
        if self.norm_squares is None or self.n < LEAST_IMAGES:
            return None
        cubes, total = np.zeros(len(self)), np.where(self.varies, self.total, np.nan)
        for rows in self._slices():
            scaled = self.comoment[rows] / total[rows, None, None]
            cubes[rows] = inner(scaled @ scaled, scaled)
        squares = np.where(self.varies, self.inverse_participation, np.nan)
        return GramSums(self.n, squares, cubes, self.norm_squares / total / total)

    @cached_property
    def spectrum(self) -> tuple[Floats, Floats]:
        """Eigenvalues ``[L, p]``, descending, and the directions as rows ``[L, p, p]``. Time O(L·p³), once."""
        values, axes = np.empty((len(self), self.p)), np.empty((len(self), self.p, self.p))
        for rows in self._slices():
            ascending, vectors = np.linalg.eigh(self.comoment[rows])
            values[rows] = ascending[:, ::-1]
            axes[rows] = vectors.swapaxes(1, 2)[:, ::-1]
        return values, axes

    @property
    def axes(self) -> Floats:
        """The directions that rows can have, as rows: ``[L, k, p]`` with k = `held`."""
        return self.spectrum[1][:, : self.held]

    @property
    def eigenvalues(self) -> Floats:
        """Of `axes`, ``[L, k]``."""
        return self.spectrum[0][:, : self.held]

    @cached_property
    def retained(self) -> Directions:
        """The directions above rounding, each whitened: `Spectrum.retained` for all layers."""
        values = self.spectrum[0]
        top = values[:, 0]
        largest = np.abs(self.mean).max(axis=1) if self.largest is None else self.largest
        stored = self.storage_eps**2 * np.maximum(top, self.n * largest**2)
        cut = np.maximum(ROUNDING * self.p * EPS64 * top, stored)
        return self._first(np.count_nonzero(values > cut[:, None], axis=1))

    @cached_property
    def sound(self) -> Flags:
        """Which layers vary and have directions that count, no more of them than rows can have, ``[L]``."""
        rank = self.retained.rank
        return np.asarray(self.varies & (rank > 0) & (rank <= self.held))

    def leading(self, variance: float | None) -> Directions:
        """Return the fewest retained directions that hold the share `variance`, whitened; all of them for None."""
        if variance is None:
            return self.retained
        if variance not in self._leading:
            rank = self.retained.rank
            running = np.cumsum(np.where(_within(rank, self.p), self.spectrum[0], 0.0), axis=1)
            short = np.count_nonzero(running < variance * running[:, -1:], axis=1)
            self._leading[variance] = self._first(np.minimum(rank, short + 1))
        return self._leading[variance]

    def penalised(self, ridge: float) -> Directions:
        """Return the retained directions, whitened under a penalty of `ridge` times the total variance."""
        if ridge not in self._penalised:
            self._penalised[ridge] = self._first(self.retained.rank, penalty=ridge * self.total)
        return self._penalised[ridge]

    def projected(self, fitted: LayerBatch) -> tuple[Floats, Floats]:
        """Return these comoments and steps of the mean in the directions of the same layers on other rows.

        ``V·XX·Vᵀ [L, k, k]`` and ``V·(mean − mean of the other rows) [L, k]`` with V the `axes` of `fitted`. Time
        O(L·k·p²), once for each batch of other rows.
        """
        if id(fitted) not in self._projected:
            axes, k = fitted.axes, fitted.held
            squares, steps = np.empty((len(self), k, k)), np.empty((len(self), k))
            for rows in self._slices():
                squares[rows] = (axes[rows] @ self.comoment[rows]) @ axes[rows].swapaxes(1, 2)
                steps[rows] = (axes[rows] @ (self.mean[rows] - fitted.mean[rows])[:, :, None])[:, :, 0]
            self._projected[id(fitted)] = fitted, squares, steps
        return self._projected[id(fitted)][1:]

    def moments(self, layer: int) -> Moments:
        """Return the moments of one layer, with its spectrum where that was computed; always the same object."""
        if layer not in self._moments:
            moments = Moments(self.n, self.mean[layer], self.comoment[layer], self._neurons(layer))
            if "spectrum" in self.__dict__:
                values, axes = self.spectrum
                moments = moments.decomposed(Spectrum(values[layer], axes[layer].T))
            self._moments[layer] = moments
        return self._moments[layer]

    def _neurons(self, layer: int) -> Neurons | None:
        """Return what is known of the neurons where columns are coordinates: how large their means are."""
        if self.largest is None:
            return None
        return Neurons(self.largest[layer : layer + 1], np.empty((0, 1)), np.empty((0, self.p)))

    def _first(self, rank: Integers, penalty: Floats | None = None) -> Directions:
        """Return the first `rank` directions of each layer, whitened with a penalty added to the eigenvalues."""
        values = self.eigenvalues
        counted = _within(rank, self.held)
        # A direction that does not count may have an eigenvalue of 0 or below: the unit stands in for it.
        own = np.where(counted, values, 1.0)
        lengths = own if penalty is None else own + penalty[:, None]
        ends = np.clip(rank - 1, 0, self.held - 1)
        smallest = np.take_along_axis(lengths, ends[:, None], axis=1)[:, 0]
        condition = np.where(rank > 0, np.sqrt(lengths[:, 0] / smallest), 1.0)
        whitening = np.where(counted, 1.0 / np.sqrt(lengths), 0.0)
        return Directions(rank, condition, whitening, np.where(counted, own / lengths, 0.0))

    def _slices(self) -> list[slice]:
        """Cut the layers so that what is worked on at once stays small."""
        step = max(1, SLICE_BYTES // (4 * 8 * self.p**2))
        return [slice(start, start + step) for start in range(0, len(self), step)]


def _within(rank: Integers, width: int) -> Flags:
    """Return which of the first `width` directions are among the first `rank`, ``[L, width]``."""
    return np.arange(width)[None, :] < rank[:, None]
