"""What a comparison will read, form and hold: integers in, plan out. Nothing is opened or computed here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stitchpipe.engine.planning.dealing import Wanted, dealings
from stitchpipe.engine.planning.memory import (
    BACKEND_BYTES,
    FLOAT_BYTES,
    MOMENTS_ONLY,
    WORKER_BYTES,
    Evaluation,
    Held,
    LeafCounts,
)
from stitchpipe.engine.planning.pass_layout import Blocks, Pass, own_operand, pass_of
from stitchpipe.engine.planning.tiles import comparable, side_width, width
from stitchpipe.errors import ExplainedError
from stitchpipe.rows import rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.backends import BackendName
    from stitchpipe.engine.planning.dealing import Dealt
    from stitchpipe.engine.planning.memory import Precision
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.planning.tiles import Pair
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
class Cost:
    """Projected work, over all splits.

    Attributes
    ----------
    pairs
        Directed pairs.
    bytes_read
        Stored bytes before compression.
    flops
        Of the distinct products: 2·rows·p·q each, half of that for a symmetric one.
    finalisation_flops
        Of decompositions and solves, at about 40·max(p, q)³ a pair and evaluation.
    peak_bytes
        Of one worker, its interpreter included.
    """

    pairs: int
    bytes_read: int
    flops: int
    finalisation_flops: int
    peak_bytes: int


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
    incomparable: tuple[tuple[View, Pair], ...]
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
    incomparable = tuple(
        (view, pair) for view, pairs in wanted.items() for pair in sorted(pairs - possible[view])
    )
    room = memory_limit_bytes - WORKER_BYTES - BACKEND_BYTES[backend]
    fitting = _Fitting(layers, possible, splits, precision, evaluation)
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
        _cost(fit.passes, layers, splits, memory_limit_bytes - room + fit.held_bytes, evaluation),
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
    ) -> None:
        self._layers, self._wanted, self._precision, self._evaluation = layers, wanted, precision, evaluation
        self._samples = max(split.n_samples for split in splits)
        self._leaves = LeafCounts(len(splits), len(splits[-1].leaves()))
        self._widths = {view: np.array([width(layer, view) for layer in layers], np.int64) for view in wanted}

    def search(self, room: int) -> _Fit | None:
        """Return the passes that read least of those that fit into `room` bytes; None where a pair does not fit."""
        widest = np.max([np.zeros(len(self._layers), np.int64), *self._widths.values()], axis=0)
        sizes = [layer.sample_bytes for layer in self._layers]
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
            passes.append(pass_of(self._layers, pairs))
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
        source, target = (self._layers[index] for index in pair)
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
            for pair in sorted(pairs):
                sides = tuple((self._layers[index].shape, self._layers[index].itemsize) for index in pair)
                kinds.setdefault((view, (*sides, pair[0] == pair[1], pair[::-1] in pairs)), pair)
        return kinds

    def _need(self, view: View, pair: Pair) -> int:
        """Return what a pair holds alone, in both directions where both are wanted."""
        both = {pair, pair[::-1]} & self._wanted[view] if view in self._wanted else {pair}
        formed = pass_of(self._layers, {view: frozenset(both)})
        return self._held(formed).peak_bytes(Blocks(1, 1))

    def _held(self, formed: Pass) -> Held:
        return Held.of(self._layers, formed, self._precision, self._leaves, self._evaluation)


def _cost(
    passes: Sequence[Pass],
    layers: Sequence[LayerShape],
    splits: Sequence[SplitShape],
    peak_bytes: int,
    evaluation: Evaluation,
) -> Cost:
    samples = sum(split.n_samples for split in splits)
    evaluations = 1 + (len(splits[-1].leaves()) if evaluation.intervals else 0)
    return Cost(
        pairs=sum(len(chunk.pairs) for formed in passes for chunk in formed.chunks),
        bytes_read=samples * sum(layers[index].sample_bytes for formed in passes for index in formed.layers),
        flops=samples * sum(_flops(layers, formed) for formed in passes),
        finalisation_flops=evaluations * sum(_finalisation_flops(layers, formed) for formed in passes),
        peak_bytes=peak_bytes,
    )


def _flops(layers: Sequence[LayerShape], formed: Pass) -> int:
    """Return the flops of a pass for one sample."""
    flops = 0
    for tile in formed.tiles:
        p, q = (side_width(layers, tile.view, side) for side in (tile.sources, tile.targets))
        flops += rows_per_sample(tile.view, tile.formed_on) * (p * (p + 1) if tile.symmetric else 2 * p * q)
    for own in formed.apart:
        p = width(layers[own.layer], own.view)
        flops += rows_per_sample(own.view, own_operand(layers, own)[0]) * p * (p + 1)
    return flops


def _finalisation_flops(layers: Sequence[LayerShape], formed: Pass) -> int:
    flops = 0
    for number, tile in enumerate(formed.tiles):
        widths = {index: width(layers[index], tile.view) for index in {*tile.sources, *tile.targets}}
        pairs = (pair for chunk in formed.chunks if chunk.tile == number for pair in chunk.pairs)
        flops += sum(40 * max(widths[source], widths[target]) ** 3 for source, target in pairs)
    return flops
