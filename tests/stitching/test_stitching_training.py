"""Task loss matching: the same as a plain loop, deterministic, and nothing but the layer learns."""

from __future__ import annotations

import copy
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stitchpipe.measures import Number
from stitchpipe.stitching import (
    DivergedError,
    StitchError,
    StitchingLayer,
    StitchingTarget,
    StitchTraining,
    TrainingBudget,
    TrainingCurve,
    accuracy,
    labels_of,
    source_cache,
    stitched_activations,
    stitched_logits,
    train,
    train_task_loss,
)
from stitchpipe.stitching.batches import BatchPosition, endless_batches
from stitchpipe.stitching.source_cache import SourceCache, size_bytes
from tests.stitching.small_stitches import CLASSES, N_SAMPLES, TARGET, Tail, images, labels, stored

BUDGET = TrainingBudget(steps=9, batch_size=16, learning_rate=1e-2, weight_decay=1e-3, seed=4)


def fresh(seed=0):
    return StitchingLayer.random((3, 6, 6), TARGET, seed=seed)


def trained(source, budget=BUDGET, seed=0):
    layer = fresh(seed)
    return layer, train_task_loss(layer, Tail(), source, labels_of(source), budget)


def batches_of(source, budget):
    """Return the batches that a training of a budget sees: activations and labels."""
    batches = endless_batches(
        [[SourceCache().reader(source)]], budget.batch_size, BatchPosition.start(budget.seed)
    )
    chosen = list(islice(batches, budget.steps))
    return [
        (torch.from_numpy(one.values[0]).float(), torch.from_numpy(labels_of(source)[one.rows]))
        for one in chosen
    ]


def adam_by_the_formulas(weights, bias, tail, source, budget):
    """Kingma and Ba 2015, algorithm 1, with the penalty in the gradient; on all rows in memory."""
    tail.eval()
    stored_rows, classes = source.read_rows(slice(None)), labels_of(source)
    rng, losses = np.random.default_rng(budget.seed), []
    parts = [weights.clone().double(), bias.clone().double()]
    first, second = ([torch.zeros_like(part) for part in parts] for _ in range(2))
    while len(losses) < budget.steps:
        for rows, _ in source.shuffled_batches(budget.batch_size, rng):
            leaves = [part.clone().float().requires_grad_() for part in parts]
            x = F.interpolate(torch.from_numpy(stored_rows[rows]), size=TARGET[1:], mode="bilinear")
            y = torch.einsum("qp,nphw->nqhw", leaves[0], x) + leaves[1][None, :, None, None]
            logits = tail(y)
            chosen = logits.log_softmax(dim=1)[torch.arange(len(rows)), torch.from_numpy(classes[rows])]
            loss = -chosen.mean()
            losses.append(float(loss.detach()))
            step = len(losses)
            for k, gradient in enumerate(torch.autograd.grad(loss, leaves)):
                g = gradient.double() + budget.weight_decay * parts[k]
                first[k] = 0.9 * first[k] + 0.1 * g
                second[k] = 0.999 * second[k] + 0.001 * g * g
                mean, square = first[k] / (1 - 0.9**step), second[k] / (1 - 0.999**step)
                parts[k] = parts[k] - budget.learning_rate * mean / (square.sqrt() + 1e-8)
            if len(losses) == budget.steps:
                break
    return parts, losses


def test_training_is_the_plain_loop_of_adam_on_the_cross_entropy(source):
    layer, curve = trained(source)
    start = fresh()
    (weight, bias), losses = adam_by_the_formulas(
        start.weight.detach(), start.bias.detach(), Tail(), source, BUDGET
    )
    np.testing.assert_allclose(curve.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight.numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(layer.bias.detach().numpy(), bias.numpy(), rtol=0, atol=1e-5)
    assert float((layer.weight - start.weight).detach().abs().max()) > 0.05


def test_first_gradient_agrees_with_finite_differences(source):
    tail, layer = Tail().eval().double(), fresh().double()
    values, wanted = batches_of(source, BUDGET)[0]

    def loss():
        return F.cross_entropy(tail(layer(values.double())), wanted)

    (gradient,) = torch.autograd.grad(loss(), layer.weight)
    with torch.no_grad():
        for place in ((0, 0), (3, 2), (4, 1)):
            differences = []
            for step in (1e-5, -2e-5):
                layer.weight[place] += step
                differences.append(float(loss()))
            layer.weight[place] += 1e-5
            found = (differences[0] - differences[1]) / 2e-5
            assert found == pytest.approx(float(gradient[place]), rel=1e-5, abs=1e-9)


def test_every_tensor_of_the_tail_stays_bit_by_bit(source):
    tail = Tail().train()
    before = {name: tensor.clone() for name, tensor in tail.state_dict().items()}
    assert {"norm.running_mean", "norm.num_batches_tracked"} <= set(before)
    train_task_loss(fresh(), tail, source, labels_of(source), BUDGET)
    after = tail.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in tail.parameters())
    assert not any(module.training for module in tail.modules())


def test_same_seed_same_bits_other_seed_other_numbers(source):
    (one, first), (two, second) = trained(source), trained(source)
    assert first == second
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)
    other = TrainingBudget(steps=9, batch_size=16, learning_rate=1e-2, weight_decay=1e-3, seed=5)
    assert trained(source, other)[1].losses != first.losses


def test_trainings_in_parallel_threads_give_what_they_give_alone(source):
    budgets = [TrainingBudget(steps=25, batch_size=16, seed=seed) for seed in range(4)]
    alone = [trained(source, budget, seed=budget.seed) for budget in budgets]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda budget: trained(source, budget, seed=budget.seed), budgets))
    for (one, curve), (two, other) in zip(alone, together, strict=True):
        assert curve == other
        assert torch.equal(one.weight, two.weight)


def test_one_tail_can_serve_two_trainings_at_once(source):
    tail = Tail()
    with ThreadPoolExecutor(2) as pool:
        curves = list(
            pool.map(lambda _: train_task_loss(fresh(), tail, source, labels_of(source), BUDGET), range(4))
        )
    assert set(curves) == {trained(source)[1]}


def test_no_global_generator_or_setting_is_used_or_moved(source):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    tail = Tail()
    before, threads = state(), torch.get_num_threads()
    curve = train_task_loss(fresh(), tail, source, labels_of(source), BUDGET)
    assert state() == before
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, True)
    torch.manual_seed(99)
    assert trained(source)[1] == curve


def test_streaming_from_the_store_equals_holding_in_memory(source, monkeypatch):
    held, curve = trained(source)
    reads = []
    size = size_bytes(source, fresh().grids)
    monkeypatch.setattr(source_cache, "HELD_BYTES", size - 1)
    monkeypatch.setattr(type(source), "read", _counted(type(source).read, reads))
    streamed, other = trained(source)
    assert other == curve
    assert torch.equal(held.weight, streamed.weight)
    assert len(reads) > len(source.row_groups)
    monkeypatch.setattr(source_cache, "HELD_BYTES", size)
    reads.clear()
    trained(source)
    assert sorted(reads) == list(range(len(source.row_groups)))


def _counted(read, reads):
    def counting(self, row_group):
        reads.append(row_group)
        return read(self, row_group)

    return counting


def test_batches_pair_each_sample_with_its_label_and_cover_every_epoch(tmp_path):
    values = np.zeros((N_SAMPLES, 2), dtype="float32")
    values[:, 0] = np.arange(N_SAMPLES)
    source = stored(tmp_path / "store.zarr", values, labels=labels())
    steps = -(-N_SAMPLES // 16)
    found = batches_of(source, TrainingBudget(steps=2 * steps, batch_size=16))
    assert [len(wanted) for _, wanted in found] == 2 * ([16] * (steps - 1) + [N_SAMPLES % 16])
    seen = [x[:, 0].long().tolist() for x, _ in found]
    for (_, wanted), samples in zip(found, seen, strict=True):
        assert wanted.tolist() == [labels()[sample] for sample in samples]
    epochs = [list(chain.from_iterable(part)) for part in (seen[:steps], seen[steps:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(N_SAMPLES))
    assert epochs[0] != epochs[1]


def test_a_batch_larger_than_the_split_is_the_split(source):
    (values, _), (again, _) = batches_of(source, TrainingBudget(steps=2))
    assert len(values) == len(again) == N_SAMPLES


def test_activations_stored_in_half_precision_are_trained_on_in_single(tmp_path):
    source = stored(tmp_path / "store.zarr", images(), labels=labels(), dtype="float16")
    exact = stored(tmp_path / "exact.zarr", images().astype("float16"), labels=labels())
    assert trained(source)[1] == trained(exact)[1]


def test_what_separates_classes_is_found(tmp_path):
    """A source that holds nothing but the class, as a late layer nearly does, stitches into any tail."""
    values = np.eye(CLASSES, dtype="float32")[labels()][:, :, None, None]
    source = stored(tmp_path / "store.zarr", values, labels=labels())
    layer, tail = StitchingLayer.random((CLASSES, 1, 1), TARGET, seed=0), Tail()

    def reached():
        return accuracy(stitched_logits(tail, stitched_activations(layer, source)), labels_of(source))

    before = reached()
    budget = TrainingBudget(steps=150, batch_size=32, learning_rate=3e-2)
    curve = train_task_loss(layer, tail, source, labels_of(source), budget)
    assert before < 0.8
    assert reached() == 1.0
    assert curve.final_loss.value < 0.5 * curve.losses[0]


def test_progress_counts_finished_steps_and_can_end_the_training(source):
    seen = []
    train_task_loss(fresh(), Tail(), source, labels_of(source), BUDGET, on_step=seen.append)
    assert seen == list(range(1, BUDGET.steps + 1))

    def stop(step):
        if step == 3:
            raise KeyboardInterrupt

    layer = fresh()
    with pytest.raises(KeyboardInterrupt):
        train_task_loss(layer, Tail(), source, labels_of(source), BUDGET, on_step=stop)
    three = TrainingBudget(steps=3, batch_size=16, learning_rate=1e-2, weight_decay=1e-3, seed=4)
    assert torch.equal(layer.weight, trained(source, three)[0].weight)


def test_final_loss_is_the_mean_of_the_last_tenth():
    assert TrainingCurve(tuple(float(i) for i in range(40))).final_loss.value == pytest.approx(
        (36 + 37 + 38 + 39) / 4
    )
    assert TrainingCurve((3.0, 1.0)).final_loss == Number(1.0)
    assert TrainingCurve((3.0, 1.0)).steps == 2


@pytest.mark.parametrize("losses", [(), (1.0, float("nan"))])
def test_a_curve_without_finite_losses_cannot_be_made(losses):
    with pytest.raises(StitchError, match="losses"):
        TrainingCurve(losses)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": 1e38},
        {"weight_decay": -1e-5},
        {"weight_decay": float("inf")},
        {"objective": "no such"},
        {"autocast": "float8"},
    ],
)
def test_budgets_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(StitchError, match=f"training: {next(iter(wrong))}"):
        TrainingBudget(**wrong)


def test_a_split_without_labels_is_refused(tmp_path):
    source = stored(tmp_path / "store.zarr", images())
    with pytest.raises(StitchError, match="expected 61 labels.*found none") as caught:
        labels_of(source)
    assert caught.value.where == "data/train/source/layer"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (labels()[:-1], r"labels of shape \(60,\)"),
        (labels()[:, None], r"labels of shape \(61, 1\)"),
        (labels().astype("float64"), "labels of type float64"),
        (labels() + 1, "classes from 1 to 4"),
        (labels() - 1, "classes from -1 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_is_learnt(source, given, found):
    layer = fresh()
    start = copy.deepcopy(layer.state_dict())
    with pytest.raises(StitchError, match=found):
        train_task_loss(layer, Tail(), source, given, BUDGET)
    assert all(torch.equal(start[name], tensor) for name, tensor in layer.state_dict().items())


def test_a_source_of_another_shape_is_refused_with_both_shapes(source):
    layer = StitchingLayer.random((3, 8, 8), TARGET, seed=0)
    with pytest.raises(StitchError, match=r"\(3, 8, 8\).*found \(3, 6, 6\)"):
        train_task_loss(layer, Tail(), source, labels_of(source), BUDGET)
    with pytest.raises(StitchError, match=r"\(3, 8, 8\).*found \(3, 6, 6\)"):
        next(stitched_activations(layer, source))


def test_weights_that_the_last_step_made_infinite_are_a_divergence(source):
    layer, budget = fresh(), TrainingBudget(steps=2, batch_size=16)

    def spoil(step):
        if step == budget.steps:
            layer.bias.data.fill_(np.inf)

    with pytest.raises(DivergedError, match=r"after 2 steps.*weights that are not finite"):
        train_task_loss(layer, Tail(), source, labels_of(source), budget, on_step=spoil)


def test_a_training_that_diverges_says_where(source):
    budget = TrainingBudget(steps=20, batch_size=16, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"after \d+ steps.*learning rate 1e\+30") as caught:
        trained(source, budget)
    assert isinstance(caught.value, StitchError)


def test_one_that_diverges_has_a_curve_without_a_final_loss(source):
    wild, calm = (TrainingBudget(steps=20, batch_size=16, learning_rate=rate) for rate in (1e30, 1e-3))
    curves = train(
        [StitchTraining(fresh(), [source], budget) for budget in (wild, calm)],
        StitchingTarget(Tail(), labels_of(source)),
    )
    lost = curves[0].final_loss
    assert (lost.value, lost.status) == (None, "diverged")
    assert "learning rate 1e+30 at task loss matching after" in lost.reason
    assert curves[0].steps < 20
    assert curves[1].divergence is None
    assert curves[1].final_loss.status == "ok"
