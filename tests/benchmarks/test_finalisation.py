"""From moments to numbers: stacked pairs against nothing but the LAPACK calls and products that they need."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from stitchpipe.algebra import Index, index_named
from stitchpipe.algebra.batches import LayerBatch, PairBatch, evaluate_both
from stitchpipe.algebra.batches.slices import slices
from tests.benchmarks.tables import best_seconds

pytestmark = pytest.mark.benchmark

FOUR = ("cka", "procrustes", "cca", "svcca")
TEN = (*FOUR, "cka_biased", "nbs", "pwcca", "dm_r2", "gulp(0.1)", "ridge_cca(0.1)")
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


JOBS = [
    Job(16, 100, FOUR, "≤ 3"),
    Job(64, 24, TEN, "≤ 2"),
    Job(256, 6, TEN, "≤ 1.5", n=2000),
]
WITH_INTERVALS = [Job(16, 40, FOUR, "≤ 1.5"), Job(64, 8, TEN, "≤ 1.5")]


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


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_pairs_against_bare_calls(table, repeats, job):
    """Every index of all pairs of some layers, both directions, to bare LAPACK calls and products, one thread"""
    batch, wanted = job.batch(), job.wanted
    with threadpool_limits(limits=1):
        seconds = best_seconds(
            {
                "ours": lambda: evaluate_both(fresh(batch), wanted),
                "bare": lambda: bare(batch, job.indices),
            },
            repeats=repeats,
        )
    table.add(
        what=job,
        µs_a_pair_both_directions=f"{1e6 * seconds['ours'] / len(batch):.0f}",
        ratio=f"{seconds['ours'] / seconds['bare']:.2f}",
        target=job.target,
    )


@pytest.mark.parametrize("job", WITH_INTERVALS, ids=str)
def test_intervals_against_bare_calls(table, repeats, job):
    """The same with 20 leave-outs, to the bare calls of 21 batches, one thread"""
    batch, wanted, rests = job.batch(), job.wanted, job.without_a_group()

    def ours():
        whole = fresh(batch)
        evaluate_both(whole, wanted)
        for rest in rests:
            evaluate_both(whole.rescored(fresh(rest)), wanted)

    def plain():
        fitted = None if batch.train is None else bare_axes(batch.train)
        for rest in (batch, *rests):
            bare(batch.rescored(rest), job.indices, fitted)

    with threadpool_limits(limits=1):
        seconds = best_seconds({"ours": ours, "bare": plain}, repeats=repeats)
    table.add(what=job, ratio=f"{seconds['ours'] / seconds['bare']:.2f}", target=job.target)
