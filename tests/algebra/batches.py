"""Batches of pairs made from rows, and the same pairs one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stitchpipe import algebra
from stitchpipe.algebra import Analysis, Moments, PairMoments
from stitchpipe.algebra.batches import LayerBatch, PairBatch
from tests.algebra.cases import conditioned

DOUBLE, HALF = 2.0**-52, 2.0**-10


@dataclass(frozen=True)
class Layer:
    """Rows, and the spacing at 1 of the dtype they were kept in."""

    rows: np.ndarray
    eps: float = DOUBLE

    def at(self, samples) -> Layer:
        return Layer(self.rows[samples], self.eps)


@dataclass(frozen=True)
class Sides:
    """Sources of one width and targets of one width; rows to score, and other rows to fit maps on."""

    sources: list[Layer]
    targets: list[Layer]
    scored: slice
    fitted: slice | None = None

    def pairs(self):
        return [(i, j) for i in range(len(self.sources)) for j in range(len(self.targets))]

    def batch(self, pairs=None) -> PairBatch:
        chosen = np.array(self.pairs() if pairs is None else pairs, dtype=np.intp).reshape(-1, 2)
        train = None if self.fitted is None else self._batch(chosen, self.fitted)
        return self._batch(chosen, self.scored, train)

    def _batch(self, chosen, samples, train=None):
        x, y = (layer_batch([layer.at(samples) for layer in side]) for side in (self.sources, self.targets))
        moments = [self._moments(i, j, samples) for i, j in chosen]
        xy = np.array([pair.xy for pair in moments])
        norms = np.array([pair.norm_products.xy for pair in moments])
        return PairBatch(x, y, chosen[:, 0], chosen[:, 1], xy, norms, train)

    def _moments(self, i, j, samples):
        return PairMoments.from_rows(self.sources[i].rows[samples], self.targets[j].rows[samples])

    def analysis(self, i, j) -> Analysis:
        """One pair, by itself."""
        train = None if self.fitted is None else self._moments(i, j, self.fitted)
        return Analysis(self._moments(i, j, self.scored), train, (self.sources[i].eps, self.targets[j].eps))


def layer_batch(layers) -> LayerBatch:
    own = [Moments.from_block(layer.rows) for layer in layers]
    pairs = [PairMoments.from_rows(layer.rows, layer.rows) for layer in layers]
    return LayerBatch(
        own[0].n,
        np.array([moments.mean for moments in own]),
        np.array([moments.comoment for moments in own]),
        np.array([layer.eps for layer in layers]),
        np.array([pair.norm_products.xx for pair in pairs]),
    )


def stacked(pairs: list[PairMoments]) -> PairBatch:
    """Pairs of the same widths and numbers of rows, none of which shares a layer with another."""
    first, each = pairs[0], np.arange(len(pairs))
    x = LayerBatch(
        first.n,
        np.array([pair.mean_x for pair in pairs]),
        np.array([pair.xx for pair in pairs]),
        np.full(len(pairs), DOUBLE),
        np.array([pair.norm_products.xx for pair in pairs]),
    )
    y = LayerBatch(
        first.n,
        np.array([pair.mean_y for pair in pairs]),
        np.array([pair.yy for pair in pairs]),
        np.full(len(pairs), DOUBLE),
        np.array([pair.norm_products.yy for pair in pairs]),
    )
    products = np.array([pair.norm_products.xy for pair in pairs])
    return PairBatch(x, y, each, each, np.array([pair.xy for pair in pairs]), products)


def layers(n, p, seed):
    """Every kind of layer of width p ≥ 5: good ones, and such as have fewer directions, or none."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(n).standard_normal((n, 4))
    good = [
        shared @ rng.standard_normal((4, p)) + noise * rng.standard_normal((n, p)) + mean
        for noise, mean in ((0.5, 0.0), (1.0, 2.0), (3.0, -1.0))
    ]
    dead, twins = good[0].copy(), good[1].copy()
    dead[:, [0, -1]] = 0.0, 0.1
    twins[:, 3:5] = twins[:, :2]
    return [
        *(Layer(rows) for rows in good),
        Layer(conditioned(n, p, 1e3, seed)) if n > p else Layer(good[1] - good[2]),
        Layer(dead),
        Layer(twins),
        Layer(np.column_stack([shared[:, :2], np.zeros((n, p - 2))])),
        Layer(np.zeros((n, p))),
        Layer(np.full((n, p), 0.1)),
        Layer(good[2].astype(np.float16).astype(np.float64), HALF),
        Layer((1e3 + 1e-3 * good[0]).astype(np.float16).astype(np.float64), HALF),
    ]


def refreshed(batch: PairBatch) -> PairBatch:
    """The same moments without anything computed of them."""
    x = LayerBatch(batch.x.n, batch.x.mean, batch.x.comoment, batch.x.storage_eps, batch.x.norm_squares)
    y = LayerBatch(batch.y.n, batch.y.mean, batch.y.comoment, batch.y.storage_eps, batch.y.norm_squares)
    train = None if batch.train is None else refreshed(batch.train)
    return PairBatch(x, y, batch.ix, batch.iy, batch.xy, batch.norm_products, train)


def named(*names):
    return [algebra.index_named(name) for name in names]
