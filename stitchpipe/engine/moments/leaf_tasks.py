"""Leaves as tasks: what a worker reads and leaves behind, under keys of everything it depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.backends import open_backend
from stitchpipe.engine.keys import leaf_key, shift_key
from stitchpipe.engine.moments.accumulate import PassSums
from stitchpipe.engine.moments.finalise import SplitMoments, finalise
from stitchpipe.engine.moments.leaf import ChunkMoments, LeafState, names_of_chunk
from stitchpipe.engine.moments.shift import SHIFT_SAMPLES, Shift
from stitchpipe.engine.reading import open_layer
from stitchpipe.rows import VIEWS
from storage import WORK, Address, Representation, Store, Summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra.backends import DeviceName
    from stitchpipe.engine.moments.finalise import Request
    from stitchpipe.engine.moments.shift import Stored
    from stitchpipe.engine.numbers import PairNumber
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.plan import Plan


@dataclass(frozen=True)
class Workplace:
    """What a task needs beside the plan. Picklable.

    Attributes
    ----------
    store
        The activations; None where they were never kept, and whoever ran the networks left the leaves.
    summaries
        The folder where leaves are left.
    device
        Where the plan's array library computes; part of no key.
    """

    store: Store | None
    summaries: Summaries
    device: DeviceName = "auto"


def shift_samples(plan: Plan, split: int) -> int:
    """Return of how many samples, the first of a split, the shifts are the mean."""
    return min(SHIFT_SAMPLES, plan.splits[split].row_groups[0][1])


def find_shifts(place: Workplace, plan: Plan, pass_number: int, split: int, key: str) -> str:
    """Keep the shifts of a pass's layers on a split, the mean of its first samples; return their key.

    Raises
    ------
    storage.StoreError
        A representation is missing or damaged.
    """
    name = shift_key(key, split)
    if not is_there(place, name):
        first = slice(0, shift_samples(plan, split))
        keep_shifts(
            place, plan, pass_number, name, lambda index: _reader(place, plan, index, split).read_rows(first)
        )
    return name


def keep_shifts(
    place: Workplace, plan: Plan, pass_number: int, name: str, first: Callable[[int], Stored]
) -> None:
    """Keep the shifts of a pass's layers under a name; `first` gives the first samples of a layer."""
    arrays: dict[str, npt.NDArray[np.float64]] = {}
    flattened = {own.layer for own in plan.passes[pass_number].owns if own.view == "flatten"}
    for index in plan.passes[pass_number].layers:
        shift = Shift.of(first(index), flattened=index in flattened)
        arrays[f"channels{index}"] = shift.channels
        arrays[f"positions{index}"] = shift.positions
        arrays[f"norms{index}"] = np.array([shift.norms.get(view, 0.0) for view in VIEWS])
    place.summaries.write(WORK, name, arrays, {}, durable=False)


def is_there(place: Workplace, name: str) -> bool:
    """Return whether shifts, or a leaf, of that name were kept."""
    return place.summaries.read_or_none(WORK, name, []) is not None


def accumulate(
    place: Workplace, plan: Plan, pass_number: int, split: int, leaf: int, key: str, shifts: str
) -> str:
    """Keep the state of one leaf of a pass; return its key. One that is there already is not formed again.

    The row groups of the leaf are read in order, of one layer at a time a block.

    Raises
    ------
    storage.StoreError
        A representation is missing, or a shard does not match its manifest.
    MomentsError
        Sums overflowed.
    NotKeptError
        The leaf was removed, and there is no store to form it from.
    """
    name = leaf_key(key, split, leaf)
    if not is_there(place, name):
        formed, where = plan.passes[pass_number], plan.splits[split]
        readers = {index: _reader(place, plan, index, split) for index in formed.layers}
        blocks = _blocks(readers, where.leaves()[leaf], where.row_groups, plan.blocks.samples)
        form_leaf(place, plan, pass_number, name, shifts, blocks)
    return name


def form_leaf(
    place: Workplace,
    plan: Plan,
    pass_number: int,
    name: str,
    shifts: str,
    blocks: Iterable[tuple[int, Iterable[tuple[int, Stored]]]],
) -> None:
    """Keep the state of one leaf of a pass under a name; products in one thread.

    Parameters
    ----------
    shifts
        The name of the shifts.
    blocks
        Of all samples of the leaf's row groups in order, each cut into blocks of ``plan.blocks.samples`` from its
        start: size, and ``(size, *shape)`` by layer of the pass. The cut decides over the last bits of the sums.

    Raises
    ------
    MomentsError
        Sums overflowed.
    BackendError
        The plan's array library has no such device here.
    """
    backend = open_backend(plan.backend, place.device)
    sums = PassSums(
        plan,
        pass_number,
        _shifts(place.summaries.read(WORK, shifts).arrays, plan.passes[pass_number]),
        backend,
    )
    for size, block in blocks:
        with backend.one_thread():
            sums.add(size, block)
    with backend.one_thread():
        state = sums.state()
    place.summaries.write(WORK, name, state.arrays, {"n_samples": state.n_samples}, durable=False)


def finish(
    place: Workplace,
    plan: Plan,
    pass_number: int,
    number: int,
    request: Request,
    formed: Sequence[tuple[str, Sequence[str]]],
) -> list[PairNumber]:
    """Return the numbers of one chunk, from the states that all leaves left.

    Parameters
    ----------
    formed
        For each split of the plan the key of its shifts and those of its leaves, in order.
    """
    sides = [_split_moments(place.summaries, plan, pass_number, number, *of_split) for of_split in formed]
    return finalise(plan, pass_number, number, request, sides[0] if len(sides) > 1 else None, sides[-1])


def _split_moments(
    summaries: Summaries, plan: Plan, pass_number: int, number: int, shifts: str, leaves: Sequence[str]
) -> SplitMoments:
    formed = plan.passes[pass_number]
    names, view = names_of_chunk(formed, number), formed.tiles[formed.chunks[number].tile].view
    heads = [summaries.read(WORK, leaf, []).content for leaf in leaves]
    found = _shifts(summaries.read(WORK, shifts).arrays, formed)
    return SplitMoments(
        leaves=[partial(_load, summaries, plan, pass_number, number, leaf, names) for leaf in leaves],
        samples=[head["n_samples"] for head in heads],
        shifts={index: shift.features(view) for index, shift in found.items()},
    )


def _load(
    summaries: Summaries, plan: Plan, pass_number: int, number: int, leaf: str, names: Sequence[str]
) -> ChunkMoments:
    """Return one leaf's part of a chunk."""
    found = summaries.read(WORK, leaf, names)
    state = LeafState(found.content["n_samples"], found.arrays)
    return state.chunk(plan.passes[pass_number], number)


def _shifts(arrays: Mapping[str, npt.NDArray[Any]], formed: Pass) -> dict[int, Shift]:
    return {
        index: Shift(
            arrays[f"channels{index}"],
            arrays[f"positions{index}"],
            dict(zip(VIEWS, map(float, arrays[f"norms{index}"]), strict=True)),
        )
        for index in formed.layers
    }


def _reader(place: Workplace, plan: Plan, index: int, split: int) -> Representation:
    layer, where = plan.layers[index], plan.splits[split]
    address = Address(where.dataset, where.name, layer.model, layer.layer)
    return open_layer(place.store, address, layer.fingerprints[split])


def _blocks(
    readers: Mapping[int, Representation],
    leaf: Sequence[int],
    bounds: Sequence[tuple[int, int]],
    samples: int,
) -> Iterator[tuple[int, Iterator[tuple[int, Stored]]]]:
    """Yield the row groups of a leaf block by block; of a block each layer is read when it is asked for."""
    for row_group in leaf:
        start, stop = bounds[row_group]
        pieces = {index: _exact(r.blocks(row_group, samples), samples) for index, r in readers.items()}
        for size in (min(samples, stop - at) for at in range(start, stop, samples)):
            yield size, ((index, next(blocks)) for index, blocks in pieces.items())


def _exact(blocks: Iterator[Stored], samples: int) -> Iterator[Stored]:
    """Yield blocks of exactly `samples`, but for the last: stored chunks need not have as many rows.

    Holds what is left over of a chunk, and nothing of what was yielded.
    """
    held: list[Stored] = []  # one array at most
    while True:
        while not held or len(held[0]) < samples:
            following = list(islice(blocks, 1))
            if not following:
                yield from held
                return
            held = [np.concatenate([*held, *following])] if held else following
        if len(held[0]) == samples:
            yield held.pop()
        else:
            taken, rest = [held[0][:samples]], held.pop()[samples:]
            held = [rest if len(rest) >= samples else rest.copy()]
            del rest
            yield taken.pop()
