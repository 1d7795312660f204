"""How many stitches share a call of the tail."""

from __future__ import annotations

import pytest
import torch

from stitchpipe.stitching import (
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    groups,
    stitches_at_once,
)
from tests.stitching.small_stitches import TARGET, Tail, labels

GIB = 2**30


def trainings(count, **changes):
    return [
        StitchTraining(
            StitchingLayer.random((3, 6, 6), TARGET, seed=seed), [], TrainingBudget(seed=seed, **changes)
        )
        for seed in range(count)
    ]


@pytest.mark.parametrize(
    ("limit", "peak", "found"),
    [(10 * GIB, 3 * GIB, 3), (10 * GIB, GIB, 9), (GIB, 3 * GIB, 1), (10 * GIB, 0, 9), (9 * GIB, 9 * GIB, 1)],
)
def test_as_many_go_side_by_side_as_fit(limit, peak, found):
    chosen = stitches_at_once(
        trainings(9),
        StitchingTarget(Tail(), labels()),
        torch.device("cpu"),
        limit_bytes=limit,
        peak_bytes=lambda *_: peak,
    )
    assert chosen == found


def test_on_a_cpu_one_goes_after_the_other():
    assert stitches_at_once(trainings(9), StitchingTarget(Tail(), labels()), torch.device("cpu")) == 1


def test_what_is_measured_is_the_step_with_the_largest_source():
    small = trainings(2)
    large = StitchTraining(StitchingLayer.random((3, 9, 9), TARGET, seed=0), [], TrainingBudget())
    seen = []

    def peak(training, *_):
        seen.append(training)
        return GIB

    target = StitchingTarget(Tail(), labels())
    stitches_at_once([*small, large], target, torch.device("cpu"), limit_bytes=2 * GIB, peak_bytes=peak)
    assert seen == [large]


def test_only_steps_of_one_kind_go_side_by_side():
    mixed = [
        *trainings(3),
        *trainings(2, objective="soft_labels"),
        *trainings(1, batch_size=8),
        *trainings(2),
    ]
    assert list(groups(mixed, 4)) == [[0, 1, 2, 6], [7], [3, 4], [5]]
    assert list(groups(mixed, 1)) == [[0], [1], [2], [6], [7], [3], [4], [5]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_on_a_gpu_is_measured():
    device = torch.device("cuda")
    target = StitchingTarget(Tail().to(device), labels())
    assert 1 <= stitches_at_once(trainings(3), target, device) <= 3
