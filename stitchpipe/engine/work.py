"""Leaves as tasks: what a worker reads and leaves behind, under keys of everything it depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.engine.accumulate import SHIFT_SAMPLES, PassSums, Shift
from stitchpipe.engine.finalise import SplitMoments, finalise
from stitchpipe.engine.leaf import ChunkMoments, LeafState, names_of_chunk
from stitchpipe.rows import VIEWS
from storage import Address, Representation, Store
from storage.summaries import WORK, Summaries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.engine.finalise import Request
    from stitchpipe.engine.plan import Pass, Plan

ACCUMULATION_VERSION = 1
"""Raised when the same leaf would hold other sums."""


@dataclass(frozen=True)
class Workplace:
    """What a task needs beside the plan: the activations, and the folder where leaves are left. Picklable."""

    store: Store
    summaries: Summaries


def pass_key(plan: Plan, step: int) -> str:
    """Return a digest of a pass: its tiles, the contents of its layers, and how rows are formed."""
    work = plan.passes[step]
    layers = {index: asdict(plan.layers[index]) for index in work.layers}
    parts = (
        asdict(work),
        layers,
        [asdict(split) for split in plan.splits],
        plan.blocks,
        plan.precision,
        ACCUMULATION_VERSION,
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def shift_key(key: str, split: int) -> str:
    """Return the key of a split's shifts."""
    return f"{key}-{split}-shift"


def leaf_key(key: str, split: int, leaf: int) -> str:
    """Return the key of a leaf's state."""
    return f"{key}-{split}-leaf{leaf}"


def find_shifts(place: Workplace, plan: Plan, step: int, split: int, key: str) -> str:
    """Keep the shifts of a pass's layers on a split, the mean of its first samples; return their key.

    Raises
    ------
    storage.StoreError
        A representation is missing or damaged.
    """
    name = shift_key(key, split)
    if place.summaries.read_or_none(WORK, name) is None:
        arrays: dict[str, npt.NDArray[np.float64]] = {}
        flattened = {own.layer for own in plan.passes[step].owns if own.view == "flatten"}
        for index in plan.passes[step].layers:
            reader = _reader(place.store, plan, index, split)
            first = reader.read_rows(slice(0, min(SHIFT_SAMPLES, plan.splits[split].row_groups[0][1])))
            shift = Shift.of(first, flattened=index in flattened)
            arrays[f"channels{index}"] = shift.channels
            arrays[f"positions{index}"] = shift.positions
            arrays[f"norms{index}"] = np.array([shift.norms.get(view, 0.0) for view in VIEWS])
        place.summaries.write(WORK, name, arrays, {}, durable=False)
    return name


def accumulate(place: Workplace, plan: Plan, step: int, split: int, leaf: int, key: str, shifts: str) -> str:
    """Keep the state of one leaf of a pass; return its key. One that is there already is not formed again.

    The row groups of the leaf are streamed in order, with one BLAS thread.

    Raises
    ------
    storage.StoreError
        A representation is missing, or a shard does not match its manifest.
    MomentsError
        Sums overflowed.
    """
    name = leaf_key(key, split, leaf)
    if place.summaries.read_or_none(WORK, name, []) is not None:
        return name
    work, where = plan.passes[step], plan.splits[split]
    with threadpool_limits(limits=1):
        readers = {index: _reader(place.store, plan, index, split) for index in work.layers}
        sums = PassSums(plan, step, _shifts(place.summaries.read(WORK, shifts).arrays, work))
        for row_group in where.leaves()[leaf]:
            _stream(sums, readers, row_group, where.row_groups[row_group], plan.blocks.samples)
        state = sums.state()
    place.summaries.write(WORK, name, state.arrays, {"n_samples": state.n_samples}, durable=False)
    return name


def finish(
    place: Workplace,
    plan: Plan,
    step: int,
    number: int,
    request: Request,
    keys: Sequence[tuple[str, Sequence[str]]],
) -> list[dict[str, Any]]:
    """Return the results of one chunk, from the states that all leaves left.

    Parameters
    ----------
    keys
        For each split of the plan the key of its shifts and those of its leaves, in order.
    """
    sides = [_split_moments(place.summaries, plan, step, number, *of_split) for of_split in keys]
    return finalise(plan, step, number, request, sides[0] if len(sides) > 1 else None, sides[-1])


def _split_moments(
    summaries: Summaries, plan: Plan, step: int, number: int, shifts: str, leaves: Sequence[str]
) -> SplitMoments:
    work = plan.passes[step]
    names, view = names_of_chunk(work, number), work.tiles[work.chunks[number].tile].view
    heads = [summaries.read(WORK, leaf, []).content for leaf in leaves]
    found = _shifts(summaries.read(WORK, shifts).arrays, work)
    return SplitMoments(
        leaves=[partial(_load, summaries, plan, step, number, leaf, names) for leaf in leaves],
        samples=[head["n_samples"] for head in heads],
        shifts={index: shift.features(view) for index, shift in found.items()},
    )


def _load(
    summaries: Summaries, plan: Plan, step: int, number: int, leaf: str, names: Sequence[str]
) -> ChunkMoments:
    """Return one leaf's part of a chunk."""
    found = summaries.read(WORK, leaf, names)
    state = LeafState(found.content["n_samples"], found.arrays)
    return state.chunk(plan.passes[step], number)


def _shifts(arrays: Mapping[str, npt.NDArray[Any]], work: Pass) -> dict[int, Shift]:
    return {
        index: Shift(
            arrays[f"channels{index}"],
            arrays[f"positions{index}"],
            dict(zip(VIEWS, map(float, arrays[f"norms{index}"]), strict=True)),
        )
        for index in work.layers
    }


def _reader(store: Store, plan: Plan, index: int, split: int) -> Representation:
    layer, where = plan.layers[index], plan.splits[split]
    address = Address(where.dataset, where.name, layer.model, layer.layer)
    return store.representation(address, fingerprint=layer.fingerprints[split])


def _stream(
    sums: PassSums,
    readers: Mapping[int, Representation],
    row_group: int,
    bounds: tuple[int, int],
    samples: int,
) -> None:
    """Add a row group, block by block; of one layer at a time a block is held."""
    for start in range(*bounds, samples):
        size = min(samples, bounds[1] - start)
        sums.add(size, ((index, one.read_rows(slice(start, start + size))) for index, one in readers.items()))
