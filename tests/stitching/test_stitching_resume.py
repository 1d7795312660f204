"""A training that was stopped goes on where it was, and no bit of its outcome tells."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stitchpipe.run.training_state import TrainingState
from stitchpipe.stitching import (
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    running_training,
    source_cache,
    train,
)
from stitchpipe.stitching.batches import BatchPosition, endless_batches
from stitchpipe.stitching.checkpoint import Checkpoint
from stitchpipe.stitching.source_cache import SourceCache, size_bytes
from storage import CheckedFiles, PairingError, open_place
from tests.stitching.small_stitches import TARGET, Tail, images, labels, stored

BUDGET = TrainingBudget(steps=11, batch_size=16, learning_rate=1e-2, weight_decay=1e-3, seed=4)


def kept(folder, key="one"):
    """Return where the state of a training is kept."""
    return TrainingState(CheckedFiles(open_place(folder)), key)


def fresh(source, path=None, budget=BUDGET, sources=None):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    return StitchTraining(layer, sources or [source], budget, path)


def outcome(one, target=None, **options):
    (curve,) = train([one], target or StitchingTarget(Tail(), labels()), **options)
    return SimpleNamespace(
        losses=curve.losses, weight=one.layer.weight.detach(), bias=one.layer.bias.detach()
    )


def assert_same_bits(one, other):
    assert one.losses == other.losses
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def stop_after(step):
    def stop(done):
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("step", [1, 4, 5, 8, 10])
@pytest.mark.parametrize("held", [True, False])
def test_stopped_and_resumed_is_never_stopped(source, tmp_path, monkeypatch, step, held):
    if not held:
        monkeypatch.setattr(source_cache, "HELD_BYTES", 0)
    path = kept(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        outcome(fresh(source, path), on_step=stop_after(step))
    seen = []
    resumed = outcome(fresh(source, path), on_step=seen.append)
    assert_same_bits(resumed, outcome(fresh(source)))
    assert seen == list(range(step, BUDGET.steps + 1))


def test_an_interruption_within_a_step_keeps_the_step_before(source, tmp_path, monkeypatch):
    """Ctrl-C may fall between the two tensors that a step changes."""
    path, steps = kept(tmp_path), []
    original = torch.optim.Adam.step

    def interrupted(self, *arguments):
        steps.append(self)
        if len(steps) == 6:
            self.param_groups[0]["params"][0].data.zero_()
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(running_training, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outcome(fresh(source, path))
    monkeypatch.setattr(torch.optim.Adam, "step", original)
    assert len(Checkpoint.restored(path).losses) == 5
    assert_same_bits(outcome(fresh(source, path)), outcome(fresh(source)))


def _train_slowly(source, path):
    torch.set_num_threads(1)
    running_training.CHECKPOINT_S = 0.0
    outcome(fresh(source, path), on_step=lambda _: time.sleep(0.05))


def test_killed_and_resumed_is_never_killed(source, tmp_path):
    path = kept(tmp_path)
    child = multiprocessing.get_context("spawn").Process(target=_train_slowly, args=(source, path))
    child.start()
    while (state := Checkpoint.restored(path)) is None or len(state.losses) < 3:
        assert child.is_alive()
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert 3 <= len(Checkpoint.restored(path).losses) < BUDGET.steps
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert_same_bits(outcome(fresh(source, path)), outcome(fresh(source)))
    finally:
        torch.set_num_threads(threads)


def test_trainings_side_by_side_are_resumed_each_where_it_was(source, tmp_path):
    def both():
        return [fresh(source, kept(tmp_path, name)) for name in ("one", "two")]

    target = StitchingTarget(Tail(), labels())
    with pytest.raises(KeyboardInterrupt):
        train(both(), target, at_once=2, on_step=stop_after(7))  # the first is a step ahead
    states = [Checkpoint.restored(kept(tmp_path, name)) for name in ("one", "two")]
    assert [len(state.losses) for state in states] == [4, 3]
    resumed, whole = both(), [fresh(source), fresh(source)]
    curves = train(resumed, target, at_once=2)
    for curve, one, other, other_curve in zip(
        curves, resumed, whole, train(whole, target, at_once=2), strict=True
    ):
        np.testing.assert_allclose(curve.losses, other_curve.losses, rtol=1e-5)
        torch.testing.assert_close(one.layer.weight, other.layer.weight, rtol=1e-5, atol=1e-6)


def test_a_state_whose_bytes_are_damaged_is_passed_over_for_none(source, tmp_path):
    path = kept(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        outcome(fresh(source, path), on_step=stop_after(4))
    (state,) = tmp_path.rglob("*.safetensors")
    state.write_bytes(state.read_bytes()[:-1] + b"?")
    assert path.load() is None
    assert_same_bits(outcome(fresh(source, path)), outcome(fresh(source)))


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 40])
def test_a_damaged_state_is_begun_anew(source, tmp_path, damage):
    path = kept(tmp_path)
    path.save(damage)
    assert_same_bits(outcome(fresh(source, path)), outcome(fresh(source)))


def test_a_place_survives_json():
    position = BatchPosition.start(3)
    again = BatchPosition(
        **json.loads(json.dumps({"epoch": 0, "generator": dict(position.generator), "done": 0}))
    )
    one, two = np.random.default_rng(), np.random.default_rng()
    one.bit_generator.state, two.bit_generator.state = dict(position.generator), dict(again.generator)
    assert one.integers(2**63, size=5).tolist() == two.integers(2**63, size=5).tolist()


def test_epochs_take_the_passes_over_the_images_in_turn(tmp_path):
    values = np.zeros((61, 2), dtype="float32")
    passes = [stored(tmp_path / f"{number}.zarr", values + number, labels=labels()) for number in range(3)]
    cache = SourceCache()
    batches = endless_batches([[cache.reader(one)] for one in passes], 16, BatchPosition.start(0))
    seen = [next(batches) for _ in range(16)]
    assert [one.number for one in seen] == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4
    assert all((one.values[0] == one.number).all() for one in seen)
    for epoch in range(4):
        rows = np.concatenate([one.rows for one in seen[4 * epoch : 4 * epoch + 4]])
        assert sorted(rows) == list(range(61))


def test_augmented_passes_are_resumed_too(tmp_path):
    passes = [
        stored(tmp_path / f"{number}.zarr", images(seed=number), labels=labels()) for number in range(2)
    ]
    path = kept(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        outcome(fresh(None, path, sources=passes), on_step=stop_after(6))
    assert_same_bits(outcome(fresh(None, path, sources=passes)), outcome(fresh(None, sources=passes)))


def test_target_activations_of_other_samples_are_refused(source, tmp_path):
    native = stored(tmp_path / "other.zarr", images(TARGET, n=48), labels=labels(48))
    budget = TrainingBudget(steps=2, objective="direct_matching")
    with pytest.raises(PairingError, match="the same samples"):
        outcome(fresh(source, budget=budget), StitchingTarget(Tail(), labels(), values=[native]))


def test_a_shelf_reads_a_source_once_and_keeps_within_its_limit(tmp_path, monkeypatch):
    sources = [stored(tmp_path / f"{number}.zarr", images(seed=number)) for number in range(3)]
    reads = []
    original = type(sources[0]).read
    monkeypatch.setattr(
        type(sources[0]), "read", lambda self, group: reads.append(self.digest) or original(self, group)
    )
    cache = SourceCache(limit_bytes=2 * size_bytes(sources[0]))
    groups = len(sources[0].row_groups)

    def walk(source):
        reader = cache.reader(source)
        return [reader.read(group) for group in range(groups)]

    assert reads == []
    for source in (*sources[:2], *sources[:2]):
        walk(source)
    assert len(reads) == 2 * groups
    walk(sources[2])  # the first goes
    walk(sources[1])
    assert len(reads) == 3 * groups
    walk(sources[0])
    assert len(reads) == 4 * groups
    assert SourceCache(limit_bytes=1).reader(sources[0]) is sources[0]
