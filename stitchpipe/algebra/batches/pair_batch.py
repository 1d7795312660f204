"""Pairs of layers of equal widths, analysed together: what several of their indices need is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.batches.correlations import Correlations, correlate
from stitchpipe.algebra.batches.fits import fit_maps
from stitchpipe.algebra.batches.nuclear_norms import nuclear_norms, penalised_norms
from stitchpipe.algebra.batches.residuals import ScoredMaps, score_maps
from stitchpipe.algebra.batches.values import vouched
from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.moments import NormProducts, PairMoments

if TYPE_CHECKING:
    from stitchpipe.algebra.batches.fits import BatchMaps
    from stitchpipe.algebra.batches.layer_batch import LayerBatch
    from stitchpipe.algebra.batches.slices import Flags, Floats, Integers

MapKey: TypeAlias = tuple[str, float | None]


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B pairs of a layer of `x` with a layer of `y`.

    What is computed of the pairs is kept in stacks as large as `xy`: hand a batch to `evaluate`, which works through it
    slice by slice, and ask a small one for its parts.

    Attributes
    ----------
    x, y
        The layers of either side, on the same rows. Hand the same objects to all batches: they are decomposed once.
    ix, iy
        ``[B]``: which layer of `x` is a pair's source, which of `y` its target.
    xy
        ``[B, p, q]``, the centred sums of products of both sides of each pair.
    norm_products
        ``[B]``, Σᵢkᵢlᵢ of the squared norms of rows (`NormProducts.xy`); None where they were not accumulated.
    train
        The same pairs on the rows that maps are fitted on, for the held-out indices; None where there are none.
    keeps_maps
        Whether maps that are once fitted on these rows are kept, for other batches that have this one as their `train`.

    Raises
    ------
    MomentsError
        Shapes or numbers of rows that do not belong together, or other pairs in `train`.
    """

    x: LayerBatch
    y: LayerBatch
    ix: Integers
    iy: Integers
    xy: Floats
    norm_products: Floats | None = None
    train: PairBatch | None = None
    keeps_maps: bool = False
    _mirror: PairBatch | None = field(default=None, repr=False)
    _whole: tuple[PairBatch, slice] | None = field(default=None, repr=False)
    _maps: dict[MapKey, BatchMaps | None] = field(default_factory=dict, init=False, repr=False)
    _analyses: dict[int, Analysis] = field(default_factory=dict, init=False, repr=False)
    _correlations: dict[float | None, Correlations] = field(default_factory=dict, init=False, repr=False)
    _penalised: dict[float, Floats] = field(default_factory=dict, init=False, repr=False)
    _scored: dict[MapKey, ScoredMaps | None] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.xy)
        norms = (count,) if self.norm_products is None else self.norm_products.shape
        found = (self.ix.shape, self.iy.shape, self.xy.shape, norms)
        expected = ((count,), (count,), (count, self.x.p, self.y.p), (count,))
        if found != expected or self.x.n != self.y.n:
            raise MomentsError(
                where="moments of a batch of pairs",
                expected=f"one n and shapes {expected}",
                found=f"n = {self.x.n} and {self.y.n}, and shapes {found}",
                remedy="Stack the products of pairs of one width on either side, from the same rows.",
            )
        train = self.train
        if train is not None and not (
            np.array_equal(train.ix, self.ix) and np.array_equal(train.iy, self.iy)
        ):
            raise MomentsError(
                where="moments of a batch of pairs",
                expected="the same pairs of layers, in the same order, in the rows that maps are fitted on",
                found="others",
                remedy="Stack both batches by the same two lists of layers.",
            )

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.x.n

    @property
    def swapped(self) -> bool:
        """Whether this is the other direction of a batch that holds the decompositions (`swap`)."""
        return self._mirror is not None

    def part(self, rows: slice) -> PairBatch:
        """Return some of the pairs; the layers, and what was computed of them, are shared."""
        train = None if self.train is None else self.train.part(rows)
        norms = None if self.norm_products is None else self.norm_products[rows]
        whole = (self, rows) if self.keeps_maps else None
        return PairBatch(
            self.x, self.y, self.ix[rows], self.iy[rows], self.xy[rows], norms, train, _whole=whole
        )

    def swap(self) -> PairBatch:
        """Return the same pairs with source and target exchanged; it takes the decompositions of this batch."""
        if self._mirror is not None:
            return self._mirror
        train = None if self.train is None else self.train.swap()
        back = self.xy.swapaxes(1, 2)
        return PairBatch(self.y, self.x, self.iy, self.ix, back, self.norm_products, train, _mirror=self)

    def rescored(self, pairs: PairBatch) -> PairBatch:
        """Return other rows of the same pairs, scored by the maps that are fitted for this batch (a jackknife).

        The rows that maps are fitted on go along, not the maps: to fit one again from stacked moments costs a product,
        and to hold one takes as much memory as the pair's moments.
        """
        return replace(pairs, train=self.train)

    def pair(self, i: int) -> Analysis:
        """Return the analysis of one pair, which shares what was decomposed; always the same object."""
        if i not in self._analyses:
            if self._mirror is not None:
                self._analyses[i] = self._mirror.pair(i).swap()
            else:
                train = None if self.train is None else self.train.moments(i)
                eps = (float(self.x.storage_eps[self.ix[i]]), float(self.y.storage_eps[self.iy[i]]))
                self._analyses[i] = Analysis(self.moments(i), train, eps)
        return self._analyses[i]

    def moments(self, i: int) -> PairMoments:
        """Return the moments of one pair."""
        source, target = int(self.ix[i]), int(self.iy[i])
        own_x, own_y, between = self.x.norm_squares, self.y.norm_squares, self.norm_products
        norms = None
        if own_x is not None and own_y is not None and between is not None:
            norms = NormProducts(float(own_x[source]), float(between[i]), float(own_y[target]))
        return PairMoments(self.x.moments(source), self.y.moments(target), self.xy[i], norms)

    @cached_property
    def varying(self) -> Flags:
        """Which pairs certainly have two sides that vary, ``[B]``."""
        return np.asarray(self.x.varies[self.ix] & self.y.varies[self.iy])

    @cached_property
    def sound(self) -> Flags:
        """Which pairs certainly have directions that count on both sides, ``[B]``."""
        return np.asarray(self.x.sound[self.ix] & self.y.sound[self.iy])

    @cached_property
    def scaled(self) -> Floats:
        """X̃ᵀỸ of sides scaled to Frobenius norm 1, ``[B, p, q]``; zeros where a side does not vary."""
        if self._mirror is not None:
            return self._mirror.scaled.swapaxes(1, 2)
        # One after the other, so that the product of two large norms cannot overflow.
        scaled: Floats = self.xy / self.x.scale[self.ix, None, None]
        scaled /= self.y.scale[self.iy, None, None]
        return scaled

    @cached_property
    def cosines(self) -> Floats:
        """‖X̃ᵀỸ‖_*/(‖X̃‖_F·‖Ỹ‖_F), ``[B]`` (`nuclear_cosine`); NaN where the batch does not vouch for it."""
        if self._mirror is not None:
            return self._mirror.cosines
        return vouched(nuclear_norms(self), self.varying, 0.0, 1.0)

    @cached_property
    def projections(self) -> Floats:
        """V_x·XY ``[B, k, q]``: the products with the target in the directions of the source (`LayerBatch.axes`)."""
        return self.x.axes[self.ix] @ self.xy

    @cached_property
    def crosses(self) -> Floats:
        """V_x·XY·V_yᵀ ``[B, k, l]``: the products of both sides in their directions."""
        if self._mirror is not None:
            return self._mirror.crosses.swapaxes(1, 2)
        return self.projections @ self.y.axes[self.iy].swapaxes(1, 2)

    def correlations(self, variance: float | None = None, *, rotated: bool = False) -> Correlations:
        """Return the canonical correlations, of the directions that explain a share of `variance` if one is given.

        Parameters
        ----------
        rotated
            With the canonical variates, which take three times as long as the correlations alone.
        """
        if self._mirror is not None:
            return self._mirror.correlations(variance, rotated=rotated)
        known = self._correlations.get(variance)
        if known is None or (rotated and known.variates is None):
            known = self._correlations[variance] = correlate(self, variance, rotated=rotated)
        return known

    def penalised_norms(self, ridge: float) -> Floats:
        """Return ‖C‖_* of the cross-products C of both sides, whitened under a penalty (`PenalisedCross`), ``[B]``."""
        if self._mirror is not None:
            return self._mirror.penalised_norms(ridge)
        if ridge not in self._penalised:
            self._penalised[ridge] = penalised_norms(self, ridge)
        return self._penalised[ridge]

    def scored(self, family: str = "affine", parameter: float | None = None) -> ScoredMaps | None:
        """Return what the maps of a family, fitted on the rows of `train`, leave of each pair.

        None where there is no `train`, or no formula for stacks of the family.
        """
        key = (family, parameter)
        if self.train is None:
            return None
        if key not in self._scored:
            maps = self.train.maps(family, parameter)
            self._scored[key] = None if maps is None else score_maps(self, self.train, maps)
        return self._scored[key]

    def maps(self, family: str, parameter: float | None) -> BatchMaps | None:
        """Return the maps of a family fitted on these rows (`fit_maps`)."""
        if self._whole is not None:
            whole, rows = self._whole
            maps = whole.maps(family, parameter)
            return None if maps is None else maps.of(rows)
        if not self.keeps_maps:
            return fit_maps(self, family, parameter)
        if (family, parameter) not in self._maps:
            self._maps[family, parameter] = fit_maps(self, family, parameter)
        return self._maps[family, parameter]

    @cached_property
    def scored_projections(self) -> Floats:
        """The products with the target in the directions of the source on the rows of `train`, ``[B, k, q]``."""
        fitted = self if self.train is None else self.train
        if fitted.x is self.x:
            return self.projections
        return fitted.x.axes[self.ix] @ self.xy
