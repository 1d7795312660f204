"""What a stitching layer may learn from: each objective by its definition, and that it is learnt."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from stitchpipe.algebra import direct_matching
from stitchpipe.rows import to_rows
from stitchpipe.stitching import (
    OBJECTIVES,
    Objective,
    Step,
    StitchError,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    train,
)
from stitchpipe.stitching.joint_step import StitchedBatch, losses
from tests.stitching.small_stitches import TARGET, Tail, images, labels, stored

BUDGET = {"steps": 12, "batch_size": 16, "learning_rate": 1e-2, "seed": 2}
NAMES = ["hard_labels", "soft_labels", "direct_matching", "fula", "penultimate"]


class Following(nn.Module):
    """What lies behind the target: pooled features, and logits."""

    def __init__(self):
        super().__init__()
        self.tail = Tail()

    def forward(self, x):
        pooled = nn.functional.leaky_relu(self.tail.norm(x), 0.2).mean(dim=(2, 3))
        return pooled, self.tail.linear(pooled)


@pytest.fixture
def ends(tmp_path):
    """Source and target activations of the same images, and everything that any objective needs."""
    source = stored(tmp_path / "source.zarr", images(), labels=labels())
    native = stored(tmp_path / "target.zarr", images(TARGET, seed=1), labels=labels())
    own = Tail().eval()(torch.from_numpy(native.read_rows(slice(None)))).detach().numpy()

    def target(objective):
        following = Following() if OBJECTIVES.named(objective).behind else None
        return StitchingTarget(Tail(), labels(), [own], [native], following)

    return SimpleNamespace(source=source, native=native, logits=own, target=target)


def batch(n=7):
    """A batch of stitched and own activations."""
    generator = torch.Generator().manual_seed(0)
    stitched = torch.randn(n, *TARGET, generator=generator, requires_grad=True)
    return StitchedBatch(
        stitched,
        torch.arange(n) % 4,
        torch.randn(n, 4, generator=generator),
        torch.randn(n, *TARGET, generator=generator),
    )


def by_definition(objective, target, given):
    """In NumPy, image by image."""
    h, g = given.stitched.detach().numpy(), given.native.numpy()
    answers = target.tail.eval()(given.stitched).detach().numpy().astype(np.float64)
    odds = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    if objective == "hard_labels":
        return -np.mean([np.log(row[label]) for row, label in zip(odds, given.labels.numpy(), strict=True)])
    if objective == "soft_labels":
        own = np.exp(given.native_logits.numpy().astype(np.float64))
        own /= own.sum(axis=1, keepdims=True)
        return np.mean([np.sum(p * np.log(p / q)) for p, q in zip(own, odds, strict=True)])
    if objective == "direct_matching":
        return np.mean((h - g) ** 2)
    behind = [
        [one.detach().numpy() for one in target.following.eval()(x)] for x in (given.stitched, given.native)
    ]
    if objective == "penultimate":
        return np.mean((behind[0][0] - behind[1][0]) ** 2)
    layers = [(h, g), *zip(*behind, strict=True)]
    return np.mean(
        [
            np.mean([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(one, other, strict=True)])
            for one, other in layers
        ]
    )


@pytest.mark.parametrize("objective", NAMES)
def test_each_objective_is_its_definition(ends, objective):
    target, given = ends.target(objective), batch()
    target.tail.eval()
    if target.following is not None:
        target.following.eval()
    (loss,) = losses(OBJECTIVES.named(objective), target, [given])
    assert float(loss.detach()) == pytest.approx(by_definition(objective, target, given), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, given.stitched)
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("objective", NAMES)
def test_each_objective_is_learnt(ends, objective):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    budget = TrainingBudget(**{**BUDGET, "steps": 60, "objective": objective})
    (curve,) = train([StitchTraining(layer, [ends.source], budget)], ends.target(objective))
    assert np.mean(curve.losses[-8:]) < np.mean(curve.losses[:4])


def test_the_direct_matching_loss_descends_to_the_least_squares_map(ends):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    budget = TrainingBudget(
        steps=400, batch_size=64, learning_rate=2e-2, weight_decay=0.0, objective="direct_matching"
    )
    train([StitchTraining(layer, [ends.source], budget)], ends.target("direct_matching"))
    x, y = (
        to_rows(one.read_rows(slice(None)), "positions", TARGET[1:]) for one in (ends.source, ends.native)
    )
    fitted = direct_matching(x, y)
    np.testing.assert_allclose(layer.to_map().W, fitted.W, atol=0.02)


@pytest.mark.parametrize("objective", NAMES)
def test_many_at_once_learn_what_they_learn_alone(ends, objective):
    def trainings():
        return [
            StitchTraining(
                StitchingLayer.random((3, 6, 6), TARGET, seed=seed),
                [ends.source],
                TrainingBudget(**{**BUDGET, "seed": seed, "objective": objective}),
            )
            for seed in range(3)
        ]

    alone, together = trainings(), trainings()
    curves = train(alone, ends.target(objective), at_once=1)
    others = train(together, ends.target(objective), at_once=3)
    for one, two, curve, other in zip(alone, together, curves, others, strict=True):
        np.testing.assert_allclose(curve.losses, other.losses, rtol=1e-4)
        torch.testing.assert_close(one.layer.weight, two.layer.weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "missing"),
    [("soft_labels", "logits"), ("direct_matching", "values"), ("fula", "values and following")],
)
def test_an_objective_without_what_it_needs_is_refused_before_a_step(ends, objective, missing):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    budget = TrainingBudget(**{**BUDGET, "objective": objective})
    with pytest.raises(StitchError, match=f"the target's {missing}"):
        train([StitchTraining(layer, [ends.source], budget)], StitchingTarget(Tail(), labels()))


def test_images_whose_own_activations_are_zero_do_not_count(ends):
    given = batch()
    given.native[0] = 0
    (loss,) = losses(OBJECTIVES.named("fula"), ends.target("fula"), [given])
    assert torch.isfinite(loss)
    loss.backward()
    assert torch.isfinite(given.stitched.grad).all()


def test_every_objective_is_tested_here():
    assert list(OBJECTIVES.own) == NAMES
    for objective in OBJECTIVES.own.values():
        assert objective.label
        assert len(objective.meaning) > 20


def test_a_loss_that_reads_what_it_did_not_ask_for_is_refused():
    with pytest.raises(StitchError, match=r"'native_logits' among what it needs.*found logits"):
        _ = Step(torch.zeros(1), torch.zeros(1), {"logits": torch.zeros(1)}).native_logits


def test_values_behind_a_layer_need_its_own_activations():
    with pytest.raises(StitchError, match="'native' among its needs"):
        Objective(
            name="mine", label="mine", meaning="", loss=lambda step: step.stitched.sum(), needs=frozenset(),
            behind="cuts", is_task_loss=False,
        )  # fmt: skip


def test_an_unknown_objective_is_refused_with_the_nearest_one():
    with pytest.raises(StitchError, match=r"'hardlabels'.*Did you mean 'hard_labels'"):
        TrainingBudget(objective="hardlabels")
