"""Passes carried out on arrays in memory, and the moments that rows of a pair have by definition."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from stitchpipe.algebra.backends import numpy_backend
from stitchpipe.engine import SplitShape
from stitchpipe.engine.moments.accumulate import PassSums
from stitchpipe.engine.moments.chunk_batches import ChunkBatches
from stitchpipe.engine.moments.chunk_moments import MergedLeaves
from stitchpipe.engine.moments.kept_rows import MomentsOfRows, RowLayout, SplitRows
from stitchpipe.engine.moments.leaf import OwnLayout, chunk_of_leaf
from stitchpipe.engine.moments.shift import SHIFT_SAMPLES, Shift
from stitchpipe.engine.planning.memory import WORKER_BYTES
from stitchpipe.engine.planning.pass_layout import Blocks
from stitchpipe.engine.planning.plan import make_plan
from stitchpipe.rows import result_grid, to_rows
from tests.engine.conftest import layers_of


@dataclass(frozen=True)
class Case:
    """Layers as arrays ``(n, *shape)``, and the pairs that are wanted, by view.

    `offset` is taken off all values before rows are formed by definition, and put back on their means: where it is
    large, float64 rows would be resized or averaged with the rounding of values of its size.
    """

    blocks: list[np.ndarray]
    wanted: dict
    offset: float = 0.0

    @property
    def n(self):
        return len(self.blocks[0])

    def plan(self, *, samples=None, rows=None, room=2**31, precision="float64", leaves=1):
        """Return the plan; `samples` and `rows` instead of what memory would allow."""
        edges = [self.n * leaf // leaves for leaf in range(leaves + 1)]
        split = SplitShape("data", "test", tuple(itertools.pairwise(edges)))
        plan = make_plan(
            layers_of([block.shape[1:] for block in self.blocks], itemsize=self.blocks[0].itemsize),
            self.wanted,
            splits=[split],
            memory_limit_bytes=WORKER_BYTES + room,
            precision=precision,
        )
        blocks = Blocks(samples or plan.blocks.samples, rows or plan.blocks.rows)
        return replace(plan, blocks=blocks)

    def shifts(self, work):
        return {index: Shift.of(self.blocks[index][:SHIFT_SAMPLES], flattened=True) for index in work.layers}

    def state(self, plan, step, start=0, stop=None, backend=numpy_backend, sizes=()):
        """Return the state of a pass over some samples, in blocks of `sizes` and then the plan's."""
        work = plan.passes[step]
        sums = PassSums(plan, step, self.shifts(work), backend)
        stop = self.n if stop is None else stop
        sizes = iter(sizes)
        while start < stop:
            size = min(next(sizes, plan.blocks.samples), plan.blocks.samples, stop - start)
            at = slice(start, start + size)
            sums.add(size, ((index, self.blocks[index][at]) for index in work.layers))
            start += size
        return sums.state()

    def pairs(self, plan, **options):
        """Return the moments of every pair, (view, pair) → PairMoments, over all leaves of the plan's split."""
        found = {}
        sizes = [
            stop - start for start, stop in (self._bounds(plan, leaf) for leaf in plan.splits[0].leaves())
        ]
        for step, work in enumerate(plan.passes):
            states = [
                self.state(plan, step, *self._bounds(plan, leaf), **options)
                for leaf in plan.splits[0].leaves()
            ]
            shifts = self.shifts(work)
            for number, chunk in enumerate(work.chunks):
                view = work.tiles[chunk.tile].view
                about = {index: shift.features(view) for index, shift in shifts.items()}
                split = split_moments(plan, step, number, states, sizes, about)
                batches = ChunkBatches(plan, work, chunk)
                for group, batch in zip(batches.groups, batches.of(split.total(), split), strict=True):
                    for at, (source, target) in enumerate(group.pairs.tolist()):
                        if group.forth[at]:
                            found[view, (source, target)] = batch.moments(at)
                        if group.back[at]:
                            found[view, (target, source)] = batch.moments(at).swap()
        return found

    def _bounds(self, plan, leaf):
        groups = plan.splits[0].row_groups
        return groups[leaf[0]][0], groups[leaf[-1]][1]

    def rows(self, view, pair):
        """Return the rows of both sides of a pair, at its target's grid, without `offset`."""
        grid = result_grid(view, self.blocks[pair[1]].shape[1:])
        return [to_rows(self.blocks[index].astype(np.float64) - self.offset, view, grid) for index in pair]

    def errors(self, plan, **options):
        """Return the relative error of every moment of every pair, (view, pair, name) → error."""
        found = self.pairs(plan, **options)
        everything = {(view, pair) for view, pairs in self.wanted.items() for pair in pairs}
        assert found.keys() == everything - {
            (view, pair) for view, left in plan.incomparable.items() for pair in left
        }
        return {
            (view, pair, name): error
            for (view, pair), moments in found.items()
            for name, error in differences(moments, *self.rows(view, pair), self.offset).items()
        }


def split_moments(plan, step, number, states, samples, shifts):
    """Return the moments of a chunk on a split, as they are put together from what its leaves left."""
    work = plan.passes[step]
    chunk = work.chunks[number]
    if chunk.band is None:
        rows = RowLayout(plan, work, chunk).read([lambda s=s: s.arrays for s in states], samples)
        return MomentsOfRows(chunk, SplitRows(rows, samples, shifts))
    layout = OwnLayout(plan, work)
    return MergedLeaves([partial(chunk_of_leaf, layout, number, state) for state in states], samples, shifts)


def defined(x, y, offset):
    """Return (mean, mean, XX, XY, YY, Σk², Σkl, Σl²) of rows, in extended precision, by definition."""
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    x, y = x - mean_x, y - mean_y
    k, l = (x * x).sum(axis=1), (y * y).sum(axis=1)  # noqa: E741
    return mean_x + offset, mean_y + offset, x.T @ x, x.T @ y, y.T @ y, k @ k, k @ l, l @ l


def differences(pair, x, y, offset):
    """Return how far a pair's moments are from those of its rows, relative to ‖X̃‖‖Ỹ‖ and the means' own sizes."""
    mean_x, mean_y, xx, xy, yy, *norms = defined(x, y, offset)
    size_x, size_y = (float(np.sqrt(np.trace(one))) for one in (xx, yy))
    found = {
        "mean_x": _relative(pair.mean_x, mean_x, _norm(mean_x) + size_x / np.sqrt(len(x))),
        "mean_y": _relative(pair.mean_y, mean_y, _norm(mean_y) + size_y / np.sqrt(len(y))),
        "xx": _relative(pair.xx, xx, size_x * size_x),
        "xy": _relative(pair.xy, xy, size_x * size_y),
        "yy": _relative(pair.yy, yy, size_y * size_y),
    }
    if pair.norm_products is not None:
        ours = (pair.norm_products.xx, pair.norm_products.xy, pair.norm_products.yy)
        for name, mine, theirs in zip(("kk", "kl", "ll"), ours, norms, strict=True):
            found[name] = _relative(mine, theirs, float(theirs))
    return found


def _norm(values):
    return float(np.sqrt((np.asarray(values, np.longdouble) ** 2).sum()))


def _relative(found, expected, size):
    distance = _norm(np.asarray(found, np.longdouble) - expected)
    return distance / size if size else distance
