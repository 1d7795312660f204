"""Random layers whose pairs are compared, and nothing but the LAPACK calls and products that their indices need."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stitchpipe.algebra import Index, index_named
from stitchpipe.algebra.batches import LayerBatch, PairBatch
from stitchpipe.algebra.batches.slices import slices

GROUPS = 20


@dataclass(frozen=True)
class Job:
    """All pairs of some random layers."""

    width: int
    layers: int
    indices: tuple[str, ...]
    target: str
    n: int = 1000

    def __str__(self) -> str:
        return f"width {self.width}, {self.layers} layers, {len(self.indices)} indices"

    @property
    def wanted(self) -> list[Index]:
        return [index_named(name) for name in self.indices]

    def rows(self, seed: int) -> np.ndarray:
        """Layers that see the same latent variables, ``[L, n, p]``: weights are the same for every seed."""
        weights, rng = np.random.default_rng(0), np.random.default_rng(seed)
        latent = rng.standard_normal((self.n, self.width))
        shape = (self.layers, self.width, self.width)
        mixed = latent @ weights.standard_normal(shape) / np.sqrt(self.width)
        noise = 0.5 * rng.standard_normal(mixed.shape)
        return np.maximum(mixed + noise, 0.0) * np.geomspace(1.0, 0.1, self.width)

    def batch(self) -> PairBatch:
        train = batch_of(self.rows(1)) if any(index.measure.held_out for index in self.wanted) else None
        return batch_of(self.rows(2), train)

    def without_a_group(self) -> list[PairBatch]:
        """The moments of the scored rows without each of `GROUPS` groups, as a finalisation has them."""
        rows, size = self.rows(2), self.n // GROUPS
        return [
            batch_of(np.delete(rows, slice(group * size, (group + 1) * size), axis=1))
            for group in range(GROUPS)
        ]


def batch_of(rows, train=None) -> PairBatch:
    count, n, _ = rows.shape
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    squares = (centred**2).sum(axis=-1)
    ix, iy = np.triu_indices(count)
    layers = LayerBatch(
        n, mean, centred.swapaxes(1, 2) @ centred, np.full(count, 2.0**-23), (squares**2).sum(axis=1)
    )
    xy = np.array([centred[i].T @ centred[j] for i, j in zip(ix, iy, strict=True)])
    return PairBatch(layers, layers, ix, iy, xy, (squares[ix] * squares[iy]).sum(axis=1), train)


def fresh(batch: PairBatch) -> PairBatch:
    """The same moments with nothing computed of them."""
    layers = replace(batch.x)
    train = None if batch.train is None else fresh(batch.train)
    return replace(batch, x=layers, y=layers, train=train)


def bare(batch: PairBatch, indices, fitted=None) -> None:
    """One eigh a layer, one decomposition for each that the indices cannot share, and the products between.

    In slices as ours, which is faster than whole stacks. `fitted` holds the directions of the rows that maps are fitted
    on, where they are known.
    """
    _, vectors = np.linalg.eigh(batch.x.comoment)
    axes = vectors.swapaxes(1, 2)
    # Ranks differ from layer to layer: the bare call takes the median of them.
    rank = int(np.median(batch.x.leading(0.99).rank))
    if batch.train is not None:
        fitted = bare_axes(batch.train) if fitted is None else fitted
        squares = fitted @ batch.x.comoment @ fitted.swapaxes(1, 2)
    for rows in slices(len(batch), batch.x.p, batch.y.p):
        part = batch.part(rows)
        crosses = axes[part.ix] @ part.xy @ vectors[part.iy]
        np.vecdot(part.xy.reshape(len(part), -1), part.xy.reshape(len(part), -1))
        np.linalg.svd(part.xy, compute_uv=False)
        # With the vectors for PWCCA, and without them for CCA alone.
        np.linalg.svd(crosses, full_matrices=False, compute_uv="pwcca" in indices)
        np.linalg.svd(crosses[:, :rank, :rank], compute_uv=False)
        if "ridge_cca(0.1)" in indices:
            np.linalg.svd(crosses, compute_uv=False)
        if part.train is not None:
            bare_maps(part, part.train, fitted, squares)


def bare_axes(train: PairBatch) -> np.ndarray:
    return np.linalg.eigh(train.x.comoment)[1].swapaxes(1, 2)


def bare_maps(part: PairBatch, train: PairBatch, fitted, squares) -> None:
    """The products of a map's fit and of its residual, in both directions."""
    for side, scored, other in (
        (part.ix, part.xy, train.xy),
        (part.iy, part.xy.swapaxes(1, 2), train.xy.swapaxes(1, 2)),
    ):
        axes = fitted[side]
        weights = axes @ other
        squares[side] @ weights
        axes @ scored
