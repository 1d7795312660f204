"""The tasks of a pass: its shifts and leaves formed from a store, and its chunks finalised from what was left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.engine.moments.finalise import finalise
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.kept_rows import MomentsOfRows
from stitchpipe.engine.moments.narrowing import narrowed
from stitchpipe.engine.moments.reading import blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.engine.moments.chunk_moments import SplitMoments
    from stitchpipe.engine.moments.moment_comparison import MomentComparison
    from stitchpipe.engine.numbers import PairNumbers
    from storage import Representation


def read_shifts(leaves: KeptLeaves) -> None:
    """Keep the shifts of a pass's layers on a split, the mean of its first samples, unless they are there.

    Raises
    ------
    storage.StoreError
        A representation is missing or damaged.
    NotKeptError
        There is no store.
    """
    first = slice(0, leaves.shift_samples)
    leaves.keep_shifts(lambda layer: _reader(leaves, layer).read_rows(first))


def read_leaf(leaves: KeptLeaves, leaf: int) -> None:
    """Keep the state of one leaf; one that is there already is not formed again.

    The pieces of the leaf are read in order, of one layer at a time a block, the next one in a thread.

    Raises
    ------
    storage.StoreError
        A representation is missing, or a shard does not match its manifest.
    MomentsError
        Sums overflowed.
    NotKeptError
        The leaf was removed, and there is no store to form it from.
    """
    if not leaves.has(leaf):
        readers = {layer: _reader(leaves, layer) for layer in leaves.formed.layers}
        split, samples = leaves.split, leaves.plan.blocks.samples
        pieces = [split.pieces[place] for place in split.leaves()[leaf]]
        leaves.form(leaf, blocks_of(readers, pieces, samples))


def finish(comparison: MomentComparison, pass_number: int, chunk_number: int, key: str) -> PairNumbers:
    """Return the numbers of one chunk, from what all leaves of its pass left; `key` is the pass's."""
    plan, resources = comparison.plan, comparison.resources
    kept = [KeptLeaves(resources, plan, pass_number, split, key) for split in range(len(plan.splits))]
    moments = _moments(kept, chunk_number)
    fitted_on = moments[0] if len(moments) > 1 else None
    return finalise(comparison, pass_number, chunk_number, fitted_on, moments[-1])


def _moments(kept: Sequence[KeptLeaves], chunk_number: int) -> Sequence[SplitMoments]:
    """Return the moments of a chunk on each split, from what its leaves left: products, or rows."""
    formed = kept[-1].formed
    chunk = formed.chunks[chunk_number]
    if chunk.band is not None:
        return [leaves.merged(chunk_number) for leaves in kept]
    rows = [leaves.rows(chunk_number) for leaves in kept]
    coordinates = formed.coordinates(formed.tiles[chunk.tile].view)
    return [
        MomentsOfRows(chunk, of_split)
        for of_split in (rows if coordinates is None else narrowed(rows, coordinates))
    ]


def _reader(leaves: KeptLeaves, layer: int) -> Representation:
    shape = leaves.plan.layers[layer]
    return leaves.resources.open(shape, leaves.split, shape.fingerprints[leaves.split_number])
