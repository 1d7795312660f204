"""Training stitching layers: both networks are frozen, the source comes from the store, only the tail runs.

Neither the source network nor the target's head is run (Bansal et al. 2021; Csiszárik et al. 2021; settings of Balogh
and Jelasity 2025). Stitches into one target may share the calls of its tail.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch

from stitchpipe.capture.precision import full_float32
from stitchpipe.stitching.batches import AHEAD_BYTES
from stitchpipe.stitching.checkpoint import Checkpoint
from stitchpipe.stitching.classes import check_classes
from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.joint_step import losses
from stitchpipe.stitching.labels import check_labels
from stitchpipe.stitching.objectives import OBJECTIVES
from stitchpipe.stitching.running_training import RunningTraining, StepCounter, StitchTraining
from stitchpipe.stitching.side_by_side import stitches_at_once
from stitchpipe.stitching.source_cache import SourceCache
from stitchpipe.stitching.target import StitchingTarget
from storage import check_pairing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from stitchpipe.stitching.budget import TrainingBudget, TrainingCurve
    from stitchpipe.stitching.layer import StitchingLayer
    from storage import Representation


def train(
    trainings: Sequence[StitchTraining],
    target: StitchingTarget,
    *,
    device: torch.device | None = None,
    at_once: int | None = None,
    cache: SourceCache | None = None,
    on_step: Callable[[int], None] | None = None,
) -> list[TrainingCurve]:
    """Train stitching layers into one target; return how each went.

    Parameters
    ----------
    trainings
        Their layers learn in place, and are moved to `device`.
    target
        Its modules are moved to `device`, put in eval mode, so that batch statistics stay as they are, and frozen;
        their tensors keep their values bit by bit.
    device
        Default: the CPU.
    at_once
        How many share a call of the tail. Default: one after the other on a CPU, where larger calls gain nothing; on a
        GPU as many as fit into its memory.
    cache
        Where sources are held in memory, for callers that train from the same ones again.
    on_step
        Called with the number of finished steps of all trainings. What it raises ends the training; the state is kept.

    Returns
    -------
    list of TrainingCurve
        On a CPU bitwise the same for a seed and a number of torch threads, from memory or from the store, without
        interruption or resumed: no global generator or setting is used or changed. `at_once` changes last digits.

    Raises
    ------
    StitchError
        A source has not its layer's shape; labels do not fit the samples or the logits; an objective lacks something.
    storage.PairingError
        The target's own activations are those of other samples.

    Notes
    -----
    A step costs one pass through the tail forwards and one backwards (its weights get no gradient), plus
    O(n·p·q·positions) for each layer. A thread for each of those that go together makes batches ready meanwhile.
    Memory: sources up to `stitchpipe.stitching.source_cache.HELD_BYTES`, or a window of their row groups,
    `AHEAD_BYTES` of batches made ready, and the tail's activations for `at_once` batches.
    """
    device = torch.device("cpu") if device is None else device
    target = _frozen(target, device)
    for training in trainings:
        _check(training, target)
    cache = SourceCache() if cache is None else cache
    counter = StepCounter(on_step)
    curves: dict[int, TrainingCurve] = {}
    for group in groups(trainings, at_once or stitches_at_once(trainings, target, device)):
        with ExitStack() as opened:
            opened.enter_context(full_float32(device))
            # What is made ready is bounded for the group, and not for each of its trainings.
            ahead = AHEAD_BYTES // len(group)
            runs = [
                opened.enter_context(
                    closing(
                        RunningTraining(
                            trainings[number], target, cache, counter, device=device, ahead_bytes=ahead
                        )
                    )
                )
                for number in group
            ]
            _together(runs, target, device)
        curves |= {number: run.curve() for number, run in zip(group, runs, strict=True)}
    return [curves[number] for number in range(len(trainings))]


def train_task_loss(
    layer: StitchingLayer,
    tail: nn.Module,
    source: Representation,
    labels: npt.NDArray[np.int64],
    budget: TrainingBudget,
    *,
    device: torch.device | None = None,
    on_step: Callable[[int], None] | None = None,
) -> TrainingCurve:
    """Train one `layer` in place by cross-entropy with `labels` through the frozen `tail`; see `train`.

    Raises
    ------
    DivergedError
        A loss is not finite.
    StitchError
        As `train`.
    """
    (curve,) = train(
        [StitchTraining(layer, [source], budget)],
        StitchingTarget(tail, labels),
        device=device,
        on_step=on_step,
    )
    if curve.divergence is not None:
        raise curve.divergence
    return curve


def _frozen(target: StitchingTarget, device: torch.device) -> StitchingTarget:
    """Put the target's modules on the device, frozen and in eval mode."""
    for module in (target.tail, target.following):
        if module is not None:
            module.to(device).eval().requires_grad_(requires_grad=False)
    return target


def _check(training: StitchTraining, target: StitchingTarget) -> None:
    for source in training.sources:
        training.layer.check_source(source)
        check_labels(target.labels, source)
    if not training.sources:
        raise StitchError(
            where="training", expected="a source", found="none", remedy="Give the source layer's activations."
        )
    objective = OBJECTIVES.named(training.budget.objective)
    target.demand(objective, len(training.sources))
    if "native" in objective.needs:
        for source, native in zip(training.sources, target.values, strict=True):
            check_pairing(source, native)
            if native.shape[1:] != training.layer.target_shape:
                raise StitchError(
                    where=str(native.address),
                    expected=f"samples of shape {training.layer.target_shape}, as the stitching layer gives",
                    found=str(native.shape[1:]),
                    remedy="Give the activations of the target layer itself.",
                )


def groups(trainings: Sequence[StitchTraining], at_once: int) -> Iterator[list[int]]:
    """Yield which trainings can go together, by position: those of one kind of step, as far along, in their order."""
    kinds: dict[tuple[object, ...], list[int]] = {}
    for number, training in enumerate(trainings):
        # Trainings that stand at different steps would not share their calls to the end, so those as far
        # along go together.
        state = Checkpoint.restored(training.state) if at_once > 1 else None
        # What may differ within a group is set alike: seeds, steps and rates belong to each training alone.
        # Whatever else differs would change the shared step.
        kind = replace(training.budget, seed=0, steps=1, learning_rate=1.0, weight_decay=0.0)
        kinds.setdefault((kind, len(state.losses) if state else 0), []).append(number)
    for numbers in kinds.values():
        yield from (numbers[start : start + at_once] for start in range(0, len(numbers), at_once))


def _together(runs: Sequence[RunningTraining], target: StitchingTarget, device: torch.device) -> None:
    """Make the steps of some trainings side by side; the tail is called once a step for all.

    The state of all is kept when anything ends them.
    """
    budget = runs[0].budget
    objective = OBJECTIVES.named(budget.objective)
    called = replace(target, tail=_compiled(target.tail)) if budget.compiled else target
    # The number of classes is only known once the tail has run, so labels are held against it at the first
    # step.
    is_checked = "logits" not in objective.needs
    try:
        while live := [run for run in runs if not run.is_over]:
            with _autocast(budget, device):
                batches = [run.next_batch() for run in live]
                if not is_checked:
                    check_classes(target.labels, _classes(target.tail, batches[0].stitched))
                    is_checked = True
                of_step = losses(objective, called, batches)
            for run in live:
                run.forget_gradient()
            # All losses come to the host in one transfer, because each transfer waits for the GPU.
            values = torch.stack([loss.detach() for loss in of_step]).tolist()
            steps = zip(live, of_step, values, strict=True)
            learning = [(run, loss, value) for run, loss, value in steps if run.accepts(value)]
            if learning:
                # The trainings share no parameter that learns, so the gradient of the sum is each one's own gradient.
                torch.stack([loss for _, loss, _ in learning]).sum().backward()
            for run, _, value in learning:
                run.learn(value)
    except BaseException:
        for run in runs:
            run.save()
        raise


def _autocast(budget: TrainingBudget, device: torch.device) -> AbstractContextManager[object]:
    """Return what runs forward passes in the declared precision."""
    if budget.autocast == "none":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@torch.no_grad()
def _classes(tail: nn.Module, stitched: Tensor) -> int:
    """Return how many logits the tail gives."""
    logits: Tensor = tail(stitched[:1].detach())
    return logits.shape[1]


def _compiled(tail: nn.Module) -> nn.Module:
    return cast("nn.Module", torch.compile(tail))
