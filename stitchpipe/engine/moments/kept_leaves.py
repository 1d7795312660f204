"""What the leaves of a pass leave behind on a split: files of work in progress, formed once by whoever comes first.

The files stand under keys of everything they depend on. A killed run finds those of the work it was in, and a
finalisation reads no more than its own part of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.backends import open_backend
from stitchpipe.engine.keys import leaf_key, pass_key, shift_key
from stitchpipe.engine.moments.accumulate import PassSums
from stitchpipe.engine.moments.chunk_moments import MergedLeaves
from stitchpipe.engine.moments.kept_rows import RowLayout, SplitRows
from stitchpipe.engine.moments.leaf import LeafState, OwnLayout, chunk_of_leaf, names_of_chunk
from stitchpipe.engine.moments.shift import SHIFT_SAMPLES, Shift
from stitchpipe.rows import VIEWS
from storage import WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Self

    import numpy.typing as npt

    from stitchpipe.engine.moments.chunk_moments import ChunkMoments
    from stitchpipe.engine.moments.shift import Stored
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.shapes import SplitShape
    from stitchpipe.engine.resources import TaskResources


@dataclass(frozen=True)
class KeptLeaves:
    """The shifts and leaves of one pass on one split.

    Attributes
    ----------
    pass_number, split_number
        Of the plan.
    key
        Of the pass: `stitchpipe.engine.keys.pass_key`. It is handed in, because a digest of many pairs takes time.
    """

    resources: TaskResources
    plan: Plan
    pass_number: int
    split_number: int
    key: str

    @classmethod
    def of(cls, resources: TaskResources, plan: Plan, pass_number: int, split_number: int) -> Self:
        """Return the leaves of a pass on a split under the pass's own key."""
        return cls(resources, plan, pass_number, split_number, pass_key(plan, pass_number))

    @property
    def formed(self) -> Pass:
        """Return the pass."""
        return self.plan.passes[self.pass_number]

    @property
    def split(self) -> SplitShape:
        """Return the split."""
        return self.plan.splits[self.split_number]

    @property
    def names(self) -> list[str]:
        """Return the names of all files: of the shifts, then of each leaf."""
        return [self._shifts_name, *(self._name(leaf) for leaf in range(len(self.split.leaves())))]

    @property
    def shift_samples(self) -> int:
        """Return of how many samples, the first of the split, the shifts are the mean."""
        return min(SHIFT_SAMPLES, self.split.row_groups[0][1])

    def has(self, leaf: int) -> bool:
        """Return whether a leaf was kept."""
        return self.resources.has_work(self._name(leaf))

    @property
    def has_shifts(self) -> bool:
        """Return whether the shifts were kept."""
        return self.resources.has_work(self._shifts_name)

    def keep_shifts(self, first: Callable[[int], Stored]) -> None:
        """Keep the shifts of the pass's layers, unless they are there.

        Parameters
        ----------
        first
            From a layer's number to its first `shift_samples` samples.
        """
        if self.has_shifts:
            return
        arrays: dict[str, npt.NDArray[np.float64]] = {}
        flattened = {
            operand.layer
            for space in self.formed.spaces
            if space.view == "flatten"
            for operand in space.operands
        }
        for layer in self.formed.layers:
            shift = Shift.of(first(layer), flattened=layer in flattened)
            arrays[f"channels{layer}"] = shift.channels
            arrays[f"positions{layer}"] = shift.positions
            arrays[f"norms{layer}"] = np.array([shift.norms.get(view, 0.0) for view in VIEWS])
        self.resources.summaries.write(WORK, self._shifts_name, arrays, {}, durable=False)

    def form(self, leaf: int, blocks: Iterable[tuple[int, Iterable[tuple[int, Stored]]]]) -> None:
        """Form and keep the state of one leaf; the shifts are there. Products in one thread.

        Parameters
        ----------
        blocks
            Of all samples of the leaf's pieces in order, each cut into blocks of ``plan.blocks.samples`` from its
            start: size, and ``(size, *shape)`` by layer of the pass. The cut decides over the last bits of the sums.

        Raises
        ------
        MomentsError
            Sums overflowed.
        BackendError
            The plan's array library has no such device here.
        """
        backend = open_backend(self.plan.backend, self.resources.device)
        sums = PassSums(self.plan, self.pass_number, self._shifts(), backend)
        for size, block in blocks:
            with backend.one_thread():
                sums.add(size, block)
        with backend.one_thread():
            state = sums.state()
        content = {"n_samples": state.n_samples}
        self.resources.summaries.write(WORK, self._name(leaf), state.arrays, content, durable=False)

    def rows(self, chunk_number: int) -> SplitRows:
        """Return the rows of a chunk's layers, where leaves keep them; of each leaf no more is read than that."""
        layout = RowLayout(self.plan, self.formed, self.formed.chunks[chunk_number])
        leaves = [partial(self._arrays, leaf, layout.names) for leaf in self._leaf_names]
        return SplitRows(layout.read(leaves, self._samples), self._samples, self._shifts_of(chunk_number))

    def merged(self, chunk_number: int) -> MergedLeaves:
        """Return the moments of a chunk, where leaves keep products; of each leaf no more is read than it needs."""
        layout = OwnLayout(self.plan, self.formed)
        names = names_of_chunk(layout, chunk_number)

        def load(leaf: str, n_samples: int) -> ChunkMoments:
            return chunk_of_leaf(layout, chunk_number, LeafState(n_samples, self._arrays(leaf, names)))

        loaders = [partial(load, *leaf) for leaf in zip(self._leaf_names, self._samples, strict=True)]
        return MergedLeaves(loaders, self._samples, self._shifts_of(chunk_number))

    @property
    def _leaf_names(self) -> list[str]:
        return self.names[1:]

    @property
    def _samples(self) -> list[int]:
        return [self.split.samples_of(leaf) for leaf in self.split.leaves()]

    def _shifts_of(self, chunk_number: int) -> dict[int, npt.NDArray[np.float64]]:
        """Return what the layers of a chunk are about."""
        chunk = self.formed.chunks[chunk_number]
        view, shifts = self.formed.tiles[chunk.tile].view, self._shifts()
        return {layer: shifts[layer].features(view) for layer in {*chunk.sources, *chunk.targets}}

    def delete(self) -> None:
        """Remove all files."""
        self.resources.summaries.delete(WORK, self.names)

    def _arrays(self, leaf: str, names: Sequence[str]) -> Mapping[str, npt.NDArray[Any]]:
        """Return some arrays of a leaf."""
        return self.resources.summaries.read(WORK, leaf, names).arrays

    def _shifts(self) -> dict[int, Shift]:
        arrays: Mapping[str, npt.NDArray[Any]] = self.resources.summaries.read(WORK, self._shifts_name).arrays
        return {
            layer: Shift(
                arrays[f"channels{layer}"],
                arrays[f"positions{layer}"],
                dict(zip(VIEWS, map(float, arrays[f"norms{layer}"]), strict=True)),
            )
            for layer in self.formed.layers
        }

    @property
    def _shifts_name(self) -> str:
        return shift_key(self.key, self.split_number)

    def _name(self, leaf: int) -> str:
        return leaf_key(self.key, self.split_number, leaf)
