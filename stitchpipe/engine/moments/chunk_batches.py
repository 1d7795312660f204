"""The pairs of one chunk as the algebra wants them: in batches of equal widths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import LayerBatch, PairBatch
from stitchpipe.engine.planning.shapes import STORAGE_EPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.engine.moments.chunk_moments import ChunkMoments, OwnMoments, SplitMoments
    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.pairs import Pair
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.rows import View

    Float64 = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class EqualPairs:
    """Pairs of a chunk whose sources have one width, and whose targets have one: each product of two layers once.

    Attributes
    ----------
    pairs
        ``[B, 2]``, in the direction of the products: a source among the chunk's sources.
    forth, back
        ``[B]``: whether the pair is wanted, and whether its other direction is.
    """

    pairs: npt.NDArray[np.int32]
    forth: npt.NDArray[np.bool_]
    back: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ChunkBatches:
    """Cuts the moments of a chunk into batches, the same ones on every split and without every leaf."""

    plan: Plan
    formed: Pass
    chunk: Chunk

    @property
    def view(self) -> View:
        """The view of the rows."""
        return self.formed.tiles[self.chunk.tile].view

    @cached_property
    def groups(self) -> list[EqualPairs]:
        """The pairs of each batch."""
        by_widths: dict[tuple[int, int], dict[Pair, list[bool]]] = {}
        sources, targets = set(self.chunk.sources), set(self.chunk.targets)
        for source, target in self.chunk.pairs.tolist():
            pair = source, target
            # A product that serves both directions is formed once, and stands there as that of one of them.
            back = pair[::-1]
            is_known = back in by_widths.get(self._widths(back), {})
            is_forward = not is_known and pair[0] in sources and pair[1] in targets
            formed = pair if is_forward else back
            wanted = by_widths.setdefault(self._widths(formed), {}).setdefault(formed, [False, False])
            wanted[0 if is_forward else 1] = True
        return [
            EqualPairs(np.array(list(pairs), np.int32), *np.array(list(pairs.values()), np.bool_).T)
            for pairs in by_widths.values()
        ]

    def of(self, moments: ChunkMoments, split: SplitMoments) -> list[PairBatch]:
        """Return the batches with the moments of some samples of a split; means about the origin."""
        layers = {len(own.moments.mean[0]): _Side(self, own, split) for own in moments.own}
        rows, columns = (self._columns(side) for side in (self.chunk.targets, self.chunk.sources))
        batches = []
        for group in self.groups:
            (p, q), (sources, targets) = self._widths(group.pairs[0].tolist()), group.pairs.T
            x, y = layers[p], layers[q]
            at_x, at_y = (_starts(side, of_pairs) for side, of_pairs in ((columns, sources), (rows, targets)))
            products = moments.cross.comoment[
                (at_y[:, None] + np.arange(q))[:, None, :], (at_x[:, None] + np.arange(p))[:, :, None]
            ]
            ix, iy = x.places(sources), y.places(targets)
            if self.view == "positions":
                batches.append(PairBatch(x.layers, y.layers, ix, iy, products))
                continue
            # With a = [−2d, 1] a squared norm about the mean deviates from its average by a·x̃
            # (`pair_from_augmented`); d is small, because means are about shifts. The averages tr/n are added back.
            norms = (x.norm[ix][:, None, :] @ products @ y.norm[iy][:, :, None])[:, 0, 0]
            norms += x.layers.total[ix] * y.layers.total[iy] / x.layers.n
            batches.append(PairBatch(x.layers, y.layers, ix, iy, products[:, :-1, :-1], norms))
        return batches

    def eps_of(self, layers: Sequence[int]) -> Float64:
        """Return the spacing of stored numbers of each layer."""
        return np.array([STORAGE_EPS[self.plan.layers[layer].itemsize] for layer in layers])

    def _widths(self, pair: Sequence[int]) -> tuple[int, int]:
        return self._width_of[pair[0]], self._width_of[pair[1]]

    @cached_property
    def _width_of(self) -> dict[int, int]:
        layers = {*self.chunk.sources, *self.chunk.targets}
        return {layer: self.formed.held_width(self.plan.layers, self.view, layer) for layer in layers}

    def _columns(self, members: Sequence[int]) -> dict[int, int]:
        """Return where the columns of each member of a side begin."""
        edges = np.cumsum([0, *(self._width_of[layer] for layer in members)]).tolist()
        return dict(zip(members, edges[:-1], strict=True))


class _Side:
    """The layers of one width in a chunk, as a batch, and what their norms are formed of."""

    def __init__(self, batches: ChunkBatches, own: OwnMoments, split: SplitMoments) -> None:
        about, eps = own.moments, batches.eps_of(own.layers)
        self._places = {layer: place for place, layer in enumerate(own.layers)}
        shift = np.stack([split.shifts[layer] for layer in own.layers])
        if batches.view == "positions":
            self.layers = LayerBatch(about.n, about.mean + shift, about.comoment, eps)
            return
        # The last column of each layer is a norm ‖x‖²; Σkᵢ² about the mean follows as Σkᵢlᵢ of two layers does.
        self.norm = np.concatenate([-2.0 * about.mean[:, :-1], np.ones((len(eps), 1))], axis=1)
        comoment = np.ascontiguousarray(about.comoment[:, :-1, :-1])
        squares = (self.norm[:, None, :] @ about.comoment @ self.norm[:, :, None])[:, 0, 0]
        squares += np.trace(comoment, axis1=1, axis2=2) ** 2 / about.n
        mean = about.mean[:, :-1] + shift
        sizes = np.abs(mean).max(axis=1)
        # Rounding at storage went with the size of features, which coordinates do not show.
        largest = np.array(
            [split.largest.get(layer, size) for layer, size in zip(own.layers, sizes, strict=True)]
        )
        self.layers = LayerBatch(about.n, mean, comoment, eps, squares, largest if split.largest else None)

    def places(self, layers: Iterable[int]) -> Places:
        """Return the places of some layers in the batch."""
        return np.array([self._places[layer] for layer in layers], np.intp)


def _starts(columns: Mapping[int, int], layers: npt.NDArray[np.int32]) -> Places:
    return np.array([columns[layer] for layer in layers.tolist()], np.intp)
