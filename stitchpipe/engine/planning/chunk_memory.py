"""What a task holds that finalises pairs: a sum over arrays, chunk by chunk or for all chunks of a tile at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stitchpipe.algebra.batches import working_bytes
from stitchpipe.engine.planning.tiles import width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.engine.planning.chunk_grid import ChunkGrid
    from stitchpipe.engine.planning.chunks import Chunk, Run
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.shapes import LayerShape
    from stitchpipe.rows import View

    Numbers = npt.NDArray[np.int64]

FLOAT_BYTES: Final = 8
SLICE_BYTES: Final = working_bytes(1, 1)
"""What pairs of narrow layers are worked in, however few they are."""


class Evaluation(NamedTuple):
    """What is computed of each pair, as far as memory and time depend on it.

    Attributes
    ----------
    intervals
        Whether each pair is finalised once more for every group of the jackknife.
    indices
        How many numbers each pair has.
    rotatable
        The views all of whose indices are the same in any orthonormal coordinates of either side.
    """

    intervals: bool = False
    indices: int = 1
    rotatable: frozenset[View] = frozenset()


MOMENTS_ONLY: Final = Evaluation()
"""No intervals, and one number of each pair."""


class LeafCounts(NamedTuple):
    """How many splits are read, 2 where maps are fitted on another than they are scored on; leaves of the last."""

    splits: int
    leaves: int


@dataclass(frozen=True, slots=True)
class ChunkMemory:
    """What the chunks of a pass hold while they are finalised.

    Attributes
    ----------
    column_bytes
        Of a column of rows on one split, where leaves keep rows.
    """

    layers: Sequence[LayerShape]
    formed: Pass
    leaves: LeafCounts
    evaluation: Evaluation
    column_bytes: int

    @property
    def most(self) -> int:
        """The bytes of the chunk that takes most. Time O(layers² / layers of a run)."""
        single = (self._of_chunk(chunk) for _, chunk in self.formed.chunks.of_products)
        return max(chain(single, map(self._of_grid, self.formed.chunks.grids)), default=0)

    def _of_chunk(self, chunk: Chunk) -> int:
        """Return the bytes of a chunk of products."""
        view = self.formed.tiles[chunk.tile].view
        widths = {layer: self.held_width(view, layer) for layer in {*chunk.sources, *chunk.targets}}
        p, q = (sum(widths[layer] for layer in side) for side in (chunk.sources, chunk.targets))
        own = sum(columns * columns for columns in widths.values())
        working = max((working_bytes(*sizes) for sizes in chunk.sizes(widths)), default=SLICE_BYTES)
        return int(self._bytes(*map(np.array, (p * q, own, 0, working, len(chunk)))))

    def _of_grid(self, grid: ChunkGrid) -> int:
        """Return the bytes of the largest chunk of a grid: all of one run of targets at a time."""
        view, most = self.formed.tiles[grid.tile].view, 0
        targets, sources = (_Runs.of(self, view, runs) for runs in (grid.targets, grid.sources))
        place = {run: column for column, run in enumerate(grid.sources)}
        for row, pairs in enumerate(grid.counts()):
            own, features = targets.squares[row] + sources.squares, targets.features[row] + sources.features
            same = place.get(grid.targets[row])
            if same is not None:  # a run with itself has its layers once
                own[same], features[same] = sources.squares[same], sources.features[same]
            products, rows = targets.columns[row] * sources.columns, self.column_bytes * features
            working = np.maximum(targets.working[row], sources.working)
            held = self._bytes(products, own, rows, working, pairs)
            most = max(most, int(held[pairs > 0].max(initial=0)))
        return most

    def held_width(self, view: View, layer: int) -> int:
        """Return in how many columns a task holds a layer."""
        return self.formed.held_width(self.layers, view, layer)

    def _bytes(
        self, products: Numbers, squares: Numbers, rows: Numbers, working: Numbers, pairs: Numbers
    ) -> Numbers:
        """Return what finalising chunks holds at most: while moments are formed, evaluated, or leaves left out.

        A merge of leaves holds one part of each level of its tree, and three times the products of one. Where leaves
        keep rows, these are held instead on each split, with one leaf beside them.

        Parameters
        ----------
        products, squares
            Numbers of the products of both sides, and of own moments.
        rows
            Bytes of all rows on one split; 0 where leaves keep products.
        working
            What the pair of the widest layers is worked in.
        pairs
            How many.
        """
        leaves, splits = self.leaves.leaves, self.leaves.splits
        cross, own = FLOAT_BYTES * products, FLOAT_BYTES * squares
        moments = cross + own
        # Sums about the shifts stay beside the moments of rows; of merged leaves the total does.
        merging = (1 + (leaves - 1).bit_length()) * moments + 3 * cross
        forming = np.where(rows > 0, 2 * rows + 3 * moments, merging)
        # Batches hold the moments once more, the features' apart from the norms'; directions, projections and whitened
        # directions of each layer; and of each number a few columns.
        batches = 2 * cross + 6 * own
        leave = self.evaluation.intervals and leaves > 1
        numbers = FLOAT_BYTES * pairs * self.evaluation.indices * (8 + 2 * leaves * leave)
        kept = splits * (rows + 2 * moments + batches)
        left_out = 3 * moments + batches if leave else 0
        first = splits * rows + (splits - 1) * (2 * moments + batches) + forming
        held: Numbers = np.maximum(first, kept + left_out + working - SLICE_BYTES) + numbers
        return held


@dataclass(frozen=True, eq=False, slots=True)
class _Runs:
    """Of each run of a side, ``[runs]``: columns as tasks hold them, their squares, features, and `working_bytes`."""

    columns: Numbers
    squares: Numbers
    features: Numbers
    working: Numbers

    @classmethod
    def of(cls, memory: ChunkMemory, view: View, runs: Sequence[Run]) -> _Runs:
        held = [np.array([memory.held_width(view, layer) for layer in run], np.int64) for run in runs]
        features = [sum(width(memory.layers[layer], view) for layer in run) for run in runs]
        sums = ([int(columns.sum()) for columns in held], [int((columns**2).sum()) for columns in held])
        working = [working_bytes(int(columns.max()), 1) for columns in held]
        return cls(*(np.array(each, np.int64) for each in (*sums, features, working)))
