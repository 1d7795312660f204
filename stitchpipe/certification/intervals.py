"""How often intervals hold what they are for: two layers, sampled again and again, by the engine's formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra import EPS64, Moments, augment
from stitchpipe.algebra.batches import LayerBatch, PairBatch, evaluate
from stitchpipe.algebra.certainty import jackknife
from stitchpipe.certification.regimes import Model, copies_of
from stitchpipe.registry import index_named, indices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.certification.cells import Cell
    from stitchpipe.certification.regimes import Float64

GROUPS: Final = 20
"""Groups of images that are left out one at a time, as many as a dump has row groups; of copies fewer."""
FITTED_IMAGES: Final = 2000
"""On which maps are fitted, once: an interval speaks of the scored images."""
TRUTH_IMAGES: Final = 100_000
"""What ever more images tend to is taken from so many: an error of a tenth of an interval's at 1,000 images."""
MEAN_REPEATS: Final = 600
"""Samples that the mean of the values at this n is taken from: an error of a twenty-fifth of their own deviation."""
TOGETHER: Final = 50
AT_ONCE: Final = 10
"""Repeats whose pairs are one batch."""
WEIGHTS: Final = 20261
"""Seed of the weights of layers, which are the same in every cell and repeat."""


@dataclass(frozen=True, eq=False)
class Limits:
    """What intervals of a cell are held against: by index, NaN where it has no value here.

    Attributes
    ----------
    population
        What ever more images would tend to.
    mean
        The mean of the values that samples of this size have.
    """

    names: tuple[str, ...]
    population: Float64
    mean: Float64

    def record(self) -> dict[str, Any]:
        """Return them as JSON has them, null for NaN."""
        return {
            "population": dict(zip(self.names, map(_or_none, self.population), strict=True)),
            "mean": dict(zip(self.names, map(_or_none, self.mean), strict=True)),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], names: Sequence[str]) -> Limits:
        """Return what `record` made, for these indices."""
        population, mean = (
            np.array([record[which].get(name) for name in names], np.float64)
            for which in ("population", "mean")
        )
        return cls(tuple(names), population, mean)


def indices_with_intervals() -> tuple[Index, ...]:
    """Return every index of the registry that has intervals."""
    return tuple(index_named(name) for name, measure in indices()[0].items() if measure.interval is not None)


@dataclass(frozen=True, eq=False)
class IntervalTrial:
    """The samples of a cell of intervals.

    Parameters
    ----------
    seed
        Of all random numbers.
    """

    cell: Cell
    seed: int

    def limits(self) -> Limits:
        """Return what the intervals of the cell are for. Seconds to a minute."""
        wanted = indices_with_intervals()
        rng = np.random.default_rng([*self.cell.seed(self.seed, 0), 1])
        shifts, fitted = self._fitted()
        train = replace(_pairs([fitted] * TOGETHER, shifts), keeps_maps=True)
        parts = TRUTH_IMAGES // FITTED_IMAGES
        whole = reduce(Moments.merge, (self._moments(rng, FITTED_IMAGES, shifts) for _ in range(parts)))
        population = evaluate(_pairs([whole], shifts, _pairs([fitted], shifts)), wanted).values[:, 0]
        total, count = np.zeros(len(wanted)), np.zeros(len(wanted))
        for _ in range(MEAN_REPEATS // TOGETHER):
            samples = [self._moments(rng, self.cell.n, shifts) for _ in range(TOGETHER)]
            values = evaluate(_pairs(samples, shifts, train), wanted).values
            total += np.nansum(values, axis=1)
            count += np.isfinite(values).sum(axis=1)
        mean = np.where(count == MEAN_REPEATS, total / np.maximum(count, 1), np.nan)
        return Limits(tuple(index.name for index in wanted), population, mean)

    def block(self, block: int, repeats: int, limits: Limits) -> dict[str, dict[str, float]]:
        """Return by index how many of some intervals hold what they are for, and sums of what was estimated."""
        wanted, sizes = indices_with_intervals(), self._sizes()
        values, without = self.numbers(block, repeats)
        return {
            index.name: _held(index, values[:, place], without[:, :, place].T, sizes,
                              (limits.population[place], limits.mean[place]))
            for place, index in enumerate(wanted)
        }  # fmt: skip

    def numbers(self, block: int, repeats: int) -> tuple[Float64, Float64]:
        """Return ``[repeats, indices]`` of all images, and ``[repeats, G, indices]`` without each group of them.

        Some repeats are one batch of pairs, which changes no number in a bit (`evaluate`).
        """
        wanted, sizes = indices_with_intervals(), self._sizes()
        rng = np.random.default_rng(self.cell.seed(self.seed, block))
        shifts, fitted = self._fitted()
        trains: dict[int, PairBatch] = {}  # decomposed, and maps fitted, once for all repeats

        def evaluated(samples: Sequence[Moments]) -> Float64:
            count = len(samples)
            if count not in trains:
                trains[count] = replace(_pairs([fitted] * count, shifts), keeps_maps=True)
            return evaluate(_pairs(samples, shifts, trains[count]), wanted).values.T

        values, without = [], []
        for start in range(0, repeats, AT_ONCE):
            drawn = [self._rows(rng, self.cell.n) for _ in range(min(AT_ONCE, repeats - start))]
            left_out = [_left_out(rows, shifts, self._per_image, sizes) for rows in drawn]
            values.append(evaluated([whole for whole, _ in left_out]))
            rests = evaluated([rest for _, of_sample in left_out for rest in of_sample])
            without.append(rests.reshape(len(drawn), len(sizes), -1))
        return np.concatenate(values), np.concatenate(without)

    def _sizes(self) -> list[int]:
        """Return of how many images the groups are that are left out: equal ones, which take no copies apart."""
        copies = copies_of(self.cell.regime)
        together = self.cell.n // copies
        parts = max(count for count in range(1, GROUPS + 1) if together % count == 0)
        return [copies * together // parts] * parts

    @property
    def _per_image(self) -> int:
        return len(self._rows(np.random.default_rng(0), 2)[0]) // 2

    def _rows(self, rng: np.random.Generator, images: int) -> list[Float64]:
        model = Model(self.cell.regime, self.cell.view, (self.cell.width, self.cell.width), WEIGHTS)
        return model.rows(rng, model.latent(rng, images))

    def _moments(self, rng: np.random.Generator, images: int, shifts: Sequence[Float64]) -> Moments:
        return Moments.from_block(_augmented(self._rows(rng, images), shifts))

    def _fitted(self) -> tuple[list[Float64], Moments]:
        """Return where norms are taken from, and the moments that maps are fitted on: the same in every block."""
        rng = np.random.default_rng([*self.cell.seed(self.seed, 0), 2])
        rows = self._rows(rng, FITTED_IMAGES)
        shifts = [layer.mean(axis=0) for layer in rows]
        return shifts, Moments.from_block(_augmented(rows, shifts))


def _held(
    index: Index, values: Float64, without: Float64, sizes: Sequence[int], truths: tuple[float, float]
) -> dict[str, float]:
    """Return counts and sums over the repeats of one index; none where it has no value in some of them."""
    population, mean = truths
    if not (np.isfinite(values).all() and np.isfinite(without).all()):
        return {}
    rule = index.measure.interval or "population"
    found = jackknife(values, without, sizes, about=rule)
    truth = population if rule == "population" else mean
    if not np.isfinite(truth):
        return {}
    centre = found.estimate if rule == "population" else values
    return {
        "repeats": len(values),
        "held": int(((found.low <= truth) & (truth <= found.high)).sum()),
        "above": int((found.low > truth).sum()),
        "value": float(values.sum()),
        "corrected": float(found.estimate.sum()),
        "squared_error": float(((centre - truth) ** 2).sum()),
        "standard_error_squared": float((found.standard_error**2).sum()),
    }


def _augmented(rows: Sequence[Float64], shifts: Sequence[Float64]) -> Float64:
    return np.hstack([augment(layer, shift) for layer, shift in zip(rows, shifts, strict=True)])


def _left_out(
    rows: Sequence[Float64], shifts: Sequence[Float64], per_image: int, sizes: Sequence[int]
) -> tuple[Moments, list[Moments]]:
    """Return the moments of all images, and without each group of them."""
    edges = np.cumsum(sizes)[:-1] * per_image
    whole = _augmented(rows, shifts)
    total = Moments.from_block(whole)
    return total, [total.without(Moments.from_block(part)) for part in np.split(whole, edges)]


def _pairs(
    samples: Sequence[Moments], shifts: Sequence[Float64], train: PairBatch | None = None
) -> PairBatch:
    """Return pairs whose augmented moments are given, all of one number of rows, with those that maps are fitted on."""
    p, each = len(shifts[0]), np.arange(len(samples))
    mean, comoment = np.stack([of.mean for of in samples]), np.stack([of.comoment for of in samples])
    sides, directions = (slice(0, p + 1), slice(p + 1, None)), []
    layers = []
    for side, shift in zip(sides, shifts, strict=True):
        own, at = comoment[:, side, side], mean[:, side]
        # As `pair_from_augmented`: a·x̃ is the norm less its average, with a = [−2(mean − shift), 1].
        direction = np.concatenate([-2.0 * (at[:, :-1] - shift), np.ones((len(each), 1))], axis=1)
        squares = np.einsum("ki,kij,kj->k", direction, own, direction)
        total = np.trace(own[:, :-1, :-1], axis1=1, axis2=2)
        squares += total**2 / samples[0].n
        directions.append((direction, total))
        eps = np.full(len(each), EPS64)
        layers.append(LayerBatch(samples[0].n, at[:, :-1].copy(), own[:, :-1, :-1].copy(), eps, squares))
    cross = comoment[:, sides[0], sides[1]]
    norms = np.einsum("ki,kij,kj->k", directions[0][0], cross, directions[1][0])
    norms += directions[0][1] * directions[1][1] / samples[0].n
    return PairBatch(layers[0], layers[1], each, each, cross[:, :-1, :-1].copy(), norms, train)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
