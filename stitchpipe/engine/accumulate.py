"""One leaf of a comparison: stream its row groups through a pass's tiles, in order, with one BLAS thread.

Every layer of the pass is read once. The state is mergeable, and the order of merging is fixed by the plan,
so on one type of machine the sums are bitwise independent of the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.summaries import CrossMoments, Moments, PairMoments, augment, pair_from_augmented
from stitchpipe.rows import Float64, Grid, to_rows
from storage import Address, Representation, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stitchpipe.engine.plan import LayerShape, Pass, Plan, SplitShape, Tile

OwnKey = tuple[int, Grid]


@dataclass(frozen=True, slots=True)
class PassState:
    """The moments of a pass over some rows. Features carry their squared norm as one more column.

    Attributes
    ----------
    cross
        For each tile, cross-moments of all its sources' columns with all its targets' columns.
    own
        For each layer and grid of the pass, the moments of its own columns.
    """

    cross: tuple[CrossMoments, ...]
    own: Mapping[OwnKey, Moments]

    def merge(self, other: PassState) -> PassState:
        """Return the moments of both sets of rows (Chan et al. 1983)."""
        cross = tuple(mine.merge(theirs) for mine, theirs in zip(self.cross, other.cross, strict=True))
        return PassState(cross, {key: moments.merge(other.own[key]) for key, moments in self.own.items()})


def accumulate(store: Store, plan: Plan, step: int, split: int, leaf: tuple[int, ...]) -> PassState:
    """Return the moments of pass `step` over the row groups `leaf` of a split.

    Raises
    ------
    storage.StoreError
        A representation is missing, or a shard does not match its manifest.
    """
    work, where = plan.passes[step], plan.splits[split]
    with threadpool_limits(limits=1):
        readers = {index: _reader(store, plan.layers[index], where, split) for index in work.layers}
        state: PassState | None = None
        for row_group in leaf:
            for block in _blocks(readers, row_group, plan.block_samples):
                fresh = _block_state(plan, work, block)
                state = fresh if state is None else state.merge(fresh)
    if state is None:
        raise ValueError("a leaf of the merge tree holds no row group")
    return state


def _reader(store: Store, layer: LayerShape, split: SplitShape, number: int) -> Representation:
    address = Address(split.dataset, split.name, layer.model, layer.layer)
    return store.representation(address, fingerprint=layer.fingerprints[number])


def _blocks(
    readers: Mapping[int, Representation], row_group: int, samples: int
) -> Iterator[dict[int, npt.NDArray[np.floating]]]:
    """Yield a row group of every layer in blocks of at most `samples`."""
    whole = {index: reader.read(row_group) for index, reader in readers.items()}
    size = len(next(iter(whole.values())))
    for start in range(0, size, samples):
        yield {index: values[start : start + samples] for index, values in whole.items()}


def _block_state(plan: Plan, work: Pass, block: Mapping[int, npt.NDArray[np.floating]]) -> PassState:
    """Return the moments of one block of samples."""
    own: dict[OwnKey, Moments] = {}
    cross: list[CrossMoments] = []
    for grid, tiles in _by_grid(work):
        members = sorted({index for _, tile in tiles for index in (*tile.sources, *tile.targets)})
        rows = {index: _augmented(plan, block[index], grid) for index in members}
        own |= {(index, grid): Moments.from_block(rows[index]) for index in members}
        for _, tile in tiles:
            cross.append(
                CrossMoments.from_block(
                    np.concatenate([rows[index] for index in tile.sources], axis=1),
                    np.concatenate([rows[index] for index in tile.targets], axis=1),
                )
            )
    order = [position for _, tiles in _by_grid(work) for position, _ in tiles]
    return PassState(tuple(cross[order.index(position)] for position in range(len(order))), own)


def _by_grid(work: Pass) -> list[tuple[Grid, list[tuple[int, Tile]]]]:
    """Return the tiles of a pass with their positions, by grid: rows are formed once per grid."""
    groups: dict[Grid, list[tuple[int, Tile]]] = {}
    for position, tile in enumerate(work.tiles):
        groups.setdefault(tile.grid, []).append((position, tile))
    return list(groups.items())


def _augmented(plan: Plan, values: npt.NDArray[np.floating], grid: Grid) -> Float64:
    resized = grid if values.ndim == 4 and plan.view == "positions" else None
    rows = to_rows(values, plan.view, resized)
    return np.asarray(augment(rows, np.zeros(rows.shape[1])))


def pair(plan: Plan, tile: Tile, state: PassState, position: int, source: int, target: int) -> PairMoments:
    """Cut one pair's moments out of a pass's state; `position` is the tile's place in the pass."""
    cross = state.cross[position]
    x = _columns(plan, tile.sources, source)
    y = _columns(plan, tile.targets, target)
    cut = CrossMoments(
        n=cross.n, mean_x=cross.mean_x[x], mean_y=cross.mean_y[y], comoment=np.asarray(cross.comoment)[x, y]
    )
    mine, theirs = state.own[(source, tile.grid)], state.own[(target, tile.grid)]
    origin = [np.zeros(side.mean.shape[0] - 1) for side in (mine, theirs)]
    return pair_from_augmented(mine, theirs, cut, shift_x=origin[0], shift_y=origin[1])


def _columns(plan: Plan, members: tuple[int, ...], index: int) -> slice:
    """Return which augmented columns of a tile's side belong to layer `index`."""
    widths = [plan.width(member) + 1 for member in members]
    place = members.index(index)
    start = sum(widths[:place])
    return slice(start, start + widths[place])
