"""What a comparison will read, form and hold: integers in, plan out. Nothing is opened or computed here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from stitchpipe.engine.planning.chunk_memory import FLOAT_BYTES, MOMENTS_ONLY, Evaluation, LeafCounts
from stitchpipe.engine.planning.chunks import CHUNK_COPIES, CHUNK_PRODUCTS, FEWEST_PRODUCTS, Cutting
from stitchpipe.engine.planning.cost import Cost, cost_of
from stitchpipe.engine.planning.dealing import dealings
from stitchpipe.engine.planning.memory import (
    BACKEND_BYTES,
    WORKER_BYTES,
    Held,
)
from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.pass_layout import Blocks, Pass, pass_of
from stitchpipe.engine.planning.tiles import comparable, width
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.engine.planning.dealing import Dealt
    from stitchpipe.engine.planning.memory import Precision
    from stitchpipe.engine.planning.pairs import Pair, Wanted
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.rows import View

BLOCK_SAMPLES = 16
"""Samples that become rows at a time, where memory allows."""
FEW_SAMPLES = 8
"""Samples below which products are rather made of fewer rows: each block costs calls for every layer."""
LEAST_ROWS = 256
"""Rows of a product below which layers are rather read more often."""
PRODUCT_ROWS = 2048
"""Rows of a product, where memory allows: with fewer, reading and writing the sums would bound it."""


class PlanError(ExplainedError, ValueError):
    """A comparison cannot be carried out within the limits: says which pair, what it needs and what to change."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison: layers, the splits to accumulate over, and the passes.

    Attributes
    ----------
    incomparable
        Pairs that no resize puts on one grid, by view; they become results without a value.
    precision, backend
        Of the products of a block of rows, and the array library that forms them.
    """

    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, ...]
    passes: tuple[Pass, ...]
    incomparable: Mapping[View, Pairs]
    blocks: Blocks
    precision: Precision
    cost: Cost = field(compare=False)
    backend: BackendName = "numpy"

    def width(self, view: View, layer: int) -> int:
        """Return the columns of a layer, its norm column included."""
        return width(self.layers[layer], view)


def make_plan(
    layers: Sequence[LayerShape],
    wanted: Wanted,
    *,
    splits: Sequence[SplitShape],
    memory_limit_bytes: int,
    precision: Precision = "float64",
    evaluation: Evaluation = MOMENTS_ONLY,
    backend: BackendName = "numpy",
) -> Plan:
    """Plan the comparison of the `wanted` pairs.

    Parameters
    ----------
    memory_limit_bytes
        What one worker process may hold, its interpreter included.
    precision
        Of the products of a block of rows; sums are float64.
    evaluation
        What is computed of each pair.
    backend
        The array library that forms the products.

    Raises
    ------
    PlanError
        A single pair does not fit.

    Notes
    -----
    Reads Σ over passes of the passes' layers. Time O(pairs) for each way of dealing them out that is tried.
    """
    layers = tuple(layers)
    possible = {view: comparable(layers, view, pairs) for view, pairs in wanted.items()}
    left = {view: pairs - possible[view] for view, pairs in wanted.items()}
    incomparable = {view: pairs for view, pairs in left.items() if pairs}
    room = memory_limit_bytes - WORKER_BYTES - BACKEND_BYTES[backend]
    cutting = cutting_of(layers, possible, splits, evaluation, room)
    fitting = _Fitting(layers, possible, splits, precision, evaluation, cutting)
    fit = fitting.search(room)
    if fit is None:
        raise fitting.refusal(memory_limit_bytes, room)
    return Plan(
        layers,
        tuple(splits),
        fit.passes,
        incomparable,
        fit.blocks,
        precision,
        cost_of(
            fit.passes, layers, splits, fitting.cutting, precision, memory_limit_bytes - room + fit.held_bytes
        ),
        backend,
    )


class _Fit(NamedTuple):
    """Passes that fit, how their rows are formed, and what the largest of them holds beside the worker itself."""

    passes: tuple[Pass, ...]
    blocks: Blocks
    held_bytes: int


class _Fitting:
    """The search for passes that fit, from those that read least."""

    def __init__(
        self,
        layers: tuple[LayerShape, ...],
        wanted: Wanted,
        splits: Sequence[SplitShape],
        precision: Precision,
        evaluation: Evaluation,
        cutting: Cutting,
    ) -> None:
        self.layers, self.splits, self.precision = layers, splits, precision
        self._wanted, self._evaluation = wanted, evaluation
        self._samples = max(split.n_samples for split in splits)
        self._leaves = LeafCounts(len(splits), len(splits[-1].leaves()))
        self.cutting = cutting
        # Where leaves keep rows no product is held while they are formed.
        self._widths = {
            view: np.array(
                [0 if view in self.cutting.leaf_samples else width(layer, view) for layer in layers], np.int64
            )
            for view in wanted
        }

    def search(self, room: int) -> _Fit | None:
        """Return the passes that read least of those that fit into `room` bytes; None where a pair does not fit."""
        widest = np.max(
            [
                [0] * len(self.layers),
                *([width(layer, view) for layer in self.layers] for view in self._wanted),
            ],
            axis=0,
        )
        sizes = [layer.sample_bytes for layer in self.layers]
        # Rather read more than multiply slivers, rather that than give up.
        for ladder in (self._ladder(LEAST_ROWS), self._ladder(1)):
            for dealt in dealings(sizes, widest.tolist(), self._wanted):
                # Laying out passes is slow; the products alone rule most ways out.
                if FLOAT_BYTES * dealt.least_products(self._widths) <= room:
                    fit = self._fit(dealt, ladder, room)
                    if fit is not None:
                        return fit
        return None

    def _ladder(self, least_rows: int) -> list[Blocks]:
        """Return ways to form rows, from the fastest to the one that holds least."""
        samples, rows = min(BLOCK_SAMPLES, self._samples), PRODUCT_ROWS
        ladder = [Blocks(samples, rows)]
        while (samples, rows) != (1, least_rows):
            if samples > FEW_SAMPLES or (rows <= LEAST_ROWS and samples > 1):
                samples //= 2
            else:
                rows //= 2
            ladder.append(Blocks(samples, rows))
        return ladder

    def _fit(self, dealt: Dealt, ladder: Sequence[Blocks], room: int) -> _Fit | None:
        """Return the passes of one way to deal pairs out, unless one of them does not fit.

        All passes form their rows alike: as fast as the one that holds most allows.
        """
        passes, held, rung = list[Pass](), list[Held](), 0
        for pairs in dealt.passes():
            passes.append(pass_of(self.layers, pairs, self.cutting))
            held.append(self._held(passes[-1]))
            while held[-1].peak_bytes(ladder[rung]) > room:
                rung += 1
                if rung == len(ladder):
                    return None
        most = max((of_pass.peak_bytes(ladder[rung]) for of_pass in held), default=0)
        return _Fit(tuple(passes), ladder[rung], most)

    def refusal(self, limit: int, room: int) -> PlanError:
        """Return the refusal of the pair that needs most, alone and row by row."""
        needs = {key: self._need(key[0], pair) for key, pair in self._kinds().items()}
        key = max(needs, key=needs.__getitem__)
        view, pair, needed = key[0], self._kinds()[key], limit - room + needs[key]
        source, target = (self.layers[index] for index in pair)
        smaller = view != "pooled" and self._need("pooled", pair) <= room
        other = " or compare under the view 'pooled'" if smaller else ""
        return PlanError(
            where=f"{source.model}/{source.layer} into {target.model}/{target.layer}, view '{view}'",
            expected=f"a pair that fits into run.memory_limit_bytes = {limit}",
            found=f"{needed} bytes",
            remedy=f"Set run.memory_limit_bytes to at least {needed}{other}.",
        )

    def _kinds(self) -> dict[tuple[View, tuple[object, ...]], Pair]:
        """Return a pair of every kind that differs in what it needs."""
        kinds: dict[tuple[View, tuple[object, ...]], Pair] = {}
        for view, pairs in self._wanted.items():
            sources, targets = pairs.places.T
            shapes = {(layer.shape, layer.itemsize): None for layer in self.layers}
            names = {shape: name for name, shape in enumerate(shapes)}
            of_layers = np.array([names[layer.shape, layer.itemsize] for layer in self.layers])
            back = pairs.among(len(self.layers))[targets, sources]
            codes = np.stack([of_layers[sources], of_layers[targets], sources == targets, back], axis=1)
            for first in sorted(np.unique(codes, axis=0, return_index=True)[1].tolist()):
                kinds[view, tuple(codes[first].tolist())] = (int(sources[first]), int(targets[first]))
        return kinds

    def _need(self, view: View, pair: Pair) -> int:
        """Return what a pair holds alone, in both directions where both are wanted."""
        both = Pairs.of({pair, pair[::-1]}, len(self.layers))
        if view in self._wanted:
            both &= self._wanted[view]
        formed = pass_of(self.layers, {view: both}, self.cutting)
        return self._held(formed).peak_bytes(Blocks(1, 1))

    def _held(self, formed: Pass) -> Held:
        return Held.of(self.layers, formed, self.precision, self._leaves, self._evaluation, self._samples)


ROWS_OF_COLUMNS: Final = 30
"""Rows are kept in place of their products up to so many for each column.

They are read by each task that needs them, a thousand columns at a time; products are written by twenty leaves, and
read by one task, once or twice.
"""
MOST_COLUMNS: Final = 1024
"""Columns that a task of many layers has on either side, about."""


def cutting_of(
    layers: Sequence[LayerShape],
    wanted: Wanted,
    splits: Sequence[SplitShape],
    evaluation: Evaluation,
    room: int,
) -> Cutting:
    """Return how the pairs of a comparison are cut into tasks, and under which views leaves keep rows.

    Tasks of narrow layers are smaller where there is little `room`, in bytes, so that finalising a chunk does not take
    more than forming its products.
    """
    affordable = room // (FLOAT_BYTES * CHUNK_COPIES)
    leaf_samples = _views_of_rows(layers, wanted, splits)
    all_samples = sum(split.n_samples for split in splits)
    return Cutting(
        products=min(CHUNK_PRODUCTS, max(FEWEST_PRODUCTS, affordable)),
        n_samples=splits[-1].n_samples,
        all_samples=all_samples,
        evaluations=1 + (len(splits[-1].leaves()) if evaluation.intervals else 0),
        leaf_samples=leaf_samples,
        # All rows and what their means are about span no more.
        coordinates={view: all_samples + 1 for view in leaf_samples if view in evaluation.rotatable},
    )


def _views_of_rows(
    layers: Sequence[LayerShape], wanted: Wanted, splits: Sequence[SplitShape]
) -> dict[View, int]:
    """Return the views whose leaves keep rows, and how many samples the largest leaf has."""
    samples = max(split.n_samples for split in splits)
    largest = max(split.samples_of(leaf) for split in splits for leaf in split.leaves())
    views: dict[View, int] = {}
    for view, pairs in wanted.items():
        columns = sum(width(layers[layer], view) for layer in pairs.layers)
        is_of_images = view != "positions"
        if is_of_images and samples <= ROWS_OF_COLUMNS * min(columns, MOST_COLUMNS):
            views[view] = largest
    return views
