"""What a training reads: on the target's grid where that is less, ahead of the steps; the same numbers either way."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from stitchpipe.stitching import (
    SourceCache,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    train,
)
from stitchpipe.stitching.batches import BatchPosition, ReadAhead, endless_batches
from stitchpipe.stitching.source_cache import size_bytes
from storage import CorruptError
from tests.stitching.small_stitches import TARGET, Tail, images, labels, stored

BUDGET = TrainingBudget(steps=9, batch_size=16, learning_rate=1e-2, seed=2)


def batches(source):
    return endless_batches([[SourceCache().reader(source)]], 16, BatchPosition.start(0))


def into_target(source, grid=None):
    """A stitch into the small tail; `grid` is that of tokens."""
    grids = None if grid is None else (grid, TARGET[1:])
    return StitchingLayer.random(source.shape[1:], TARGET, seed=0, grids=grids)


@pytest.mark.parametrize("limit", [0, 700, 10**9])
def test_batches_made_ahead_are_the_same_batches(source, limit):
    direct, ahead = batches(source), ReadAhead(batches(source), 11, limit)
    for _ in range(11):
        one, other = next(ahead), next(direct)
        assert (one.number, one.after) == (other.number, other.after)
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.values[0], other.values[0])
    ahead.close()


def test_no_more_is_made_ahead_than_was_asked_for(source):
    taken = []
    made = (taken.append(one) or one for one in batches(source))
    ahead = ReadAhead(made, 5, 10**9)
    found = list(ahead)
    ahead.close()
    assert len(taken) == len(found) == 5


def test_how_much_is_made_ahead_is_limited(source):
    taken, size = [], next(batches(source)).values[0].nbytes
    made = (taken.append(one) or one for one in batches(source))
    ahead = ReadAhead(made, 100, 3 * size)
    next(ahead)
    ahead.close()
    assert len(taken) <= 4


def test_what_prevents_a_batch_ends_the_training_and_its_thread(tmp_path):
    source = stored(tmp_path / "store.zarr", images(), labels=labels())
    path = tmp_path / "store.zarr" / source.shard_file(3)
    path.write_bytes(path.read_bytes()[:-1])
    before = threading.active_count()
    with pytest.raises(CorruptError, match="row group 3"):
        train([StitchTraining(into_target(source), [source], BUDGET)], StitchingTarget(Tail(), labels()))
    assert threading.active_count() == before


SOURCES = {
    "a larger image": ((3, 6, 6), None),
    "a smaller image": ((3, 2, 2), None),
    "an image of that size": ((3, 4, 4), None),
    "more tokens": ((37, 3), (1, 6, 6)),
    "fewer tokens": ((5, 3), (1, 2, 2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_is_on_the_targets_grid_where_that_is_less(tmp_path, monkeypatch, kind, dtype):
    """Read on the target's grid or brought to it in every step: the same losses and weights."""
    shape, grid = SOURCES[kind]
    source = stored(tmp_path / "store.zarr", images(shape), labels=labels(), dtype=dtype)
    training = StitchTraining(into_target(source, grid), [source], BUDGET)
    grids = training.resized_as_read
    positions = {"a larger image": 36, "more tokens": 37}.get(kind, 0)
    assert (grids is not None) == (positions * source.dtype.itemsize > 16 * 4)
    assert size_bytes(source, grids) <= size_bytes(source)
    (curve,) = train([training], StitchingTarget(Tail(), labels()))
    monkeypatch.setattr(StitchTraining, "resized_as_read", None)
    other = StitchTraining(into_target(source, grid), [source], BUDGET)
    (other_curve,) = train([other], StitchingTarget(Tail(), labels()))
    np.testing.assert_allclose(curve.losses, other_curve.losses, rtol=1e-6)
    torch.testing.assert_close(training.layer.weight, other.layer.weight, rtol=1e-5, atol=1e-6)


def test_what_is_held_on_a_grid_takes_what_was_counted(tmp_path):
    source = stored(tmp_path / "store.zarr", images(), labels=labels())
    grids = into_target(source).grids
    reader = SourceCache().reader(source, grids)
    held = [reader.read(row_group) for row_group in range(len(reader.row_groups))]
    assert sum(values.nbytes for values in held) == size_bytes(source, grids)
    assert {values.shape[1:] for values in held} == {(3, 4, 4)}
    layer = into_target(source)
    with torch.no_grad():
        whole = layer(torch.from_numpy(source.read(0)))
        parts = layer.mapped(torch.from_numpy(held[0]))
    assert torch.equal(whole, parts)
