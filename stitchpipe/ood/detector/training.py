"""Training a classifier of representations, then driving energies apart (Liu et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from stitchpipe.capture.precision import full_float32
from stitchpipe.ood.detector.network import RepresentationClassifier
from stitchpipe.ood.errors import DetectorDivergedError, OodError
from stitchpipe.ood.features import features_of
from stitchpipe.ood.standardiser import Standardiser
from storage import shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    import numpy.typing as npt

    from stitchpipe.ood.detector.first_samples import FirstSamples
    from stitchpipe.rows import Grid

    LossOf: TypeAlias = Callable[[Tensor, Tensor], Tensor]

MARGIN_IN, MARGIN_OUT, WEIGHT = -25.0, -7.0, 0.1
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
WINDOW_ROW_GROUPS = 8


@dataclass(frozen=True, slots=True)
class DetectorBudget:
    """What training a detector may spend, and its seed. Rates and batches are those of Liu et al. (2020).

    Attributes
    ----------
    epochs, finetune_epochs
        Of cross-entropy alone, then with the energy term; at least 1. Liu et al. have 100 and 10.
    learning_rate, finetune_learning_rate
        At the start of either phase; they fall to 0 along a cosine.
    batch_size
        Native samples per step; fine-tuning takes twice as many foreign ones beside them.
    seed
        Of weights and order.
    """

    epochs: int = 20
    finetune_epochs: int = 10
    learning_rate: float = 0.1
    finetune_learning_rate: float = 1e-3
    batch_size: int = 128
    seed: int = 0

    @property
    def all_epochs(self) -> int:
        """Epochs of both phases."""
        return self.epochs + self.finetune_epochs


@dataclass(frozen=True, slots=True)
class DetectorTraining:
    """How a detector came about: the mean loss of the last epoch of either phase."""

    final_loss: float
    finetune_final_loss: float


def energy_bounded_loss(native: Tensor, labels: Tensor, foreign: Tensor) -> Tensor:
    """Return CE(native) + 0.1·[mean relu(E_in − m_in)² + mean relu(m_out − E_out)²] (Liu et al. 2020).

    E = −logsumexp(logits), m_in = −25, m_out = −7; `native`, `foreign` are logits ``(n, classes)``, ``(m, classes)``.
    """
    inside, outside = -torch.logsumexp(native, dim=1), -torch.logsumexp(foreign, dim=1)
    bounds = F.relu(inside - MARGIN_IN).square().mean() + F.relu(MARGIN_OUT - outside).square().mean()
    return F.cross_entropy(native, labels) + WEIGHT * bounds


def classifier_of(native: FirstSamples, grid: Grid, classes: int, *, seed: int) -> RepresentationClassifier:
    """Return an untrained classifier of representations like `native`, in their units; weights come from `seed`.

    torch's global generator is left as it was. Reads `native` once.
    """
    units = Standardiser.of_positions(
        features_of(native.read(group) for group in range(len(native.row_groups)))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RepresentationClassifier(native.shape[1:], grid, classes, units)


def train_detector(
    network: RepresentationClassifier,
    native: FirstSamples,
    labels: npt.NDArray[np.int64],
    foreign: Iterator[Tensor],
    budget: DetectorBudget,
    *,
    on_epoch: Callable[[int], None],
) -> DetectorTraining:
    """Train `network` in place on native representations, then fine-tune it against foreign ones.

    Parameters
    ----------
    network
        Is left in eval mode, on its device.
    native
        Representations of training images.
    labels
        ``[n]`` class numbers from 0, in the order of `native`.
    foreign
        Endless batches of representations of other images, ``(m, …)`` float32; one is taken per step of fine-tuning.
    on_epoch
        Called with the number of finished epochs. What it raises ends the training.

    Returns
    -------
    DetectorTraining
        On a CPU bitwise the same for the same arguments and number of torch threads.

    Raises
    ------
    OodError
        Fewer than two samples, or labels that no logit stands for.
    DetectorDivergedError
        A loss is not finite.

    Notes
    -----
    SGD with Nesterov momentum .9 and weight decay 5e-4. A forward pass of one sample with positions is 12 million
    multiplications, and 32 for each of its values; backwards it is twice that. Memory: what `native` holds, and a
    batch.
    """
    _check(native, labels, network.classes)
    rng = np.random.default_rng(budget.seed)

    def pretraining(values: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(network(values), wanted)

    def finetuning(values: Tensor, wanted: Tensor) -> Tensor:
        # Native and foreign samples share one call, so that batch normalisation sees both together.
        logits = network(torch.cat([values, next(foreign).to(values.device)]))
        return energy_bounded_loss(logits[: len(values)], wanted, logits[len(values) :])

    def learnt(loss_of: LossOf, epochs: int, rate: float, before: int) -> float:
        optimiser = torch.optim.SGD(
            network.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
        )
        steps = epochs * math.ceil(len(labels) / budget.batch_size)
        schedule = CosineAnnealingLR(optimiser, steps)
        reached = math.nan
        for epoch in range(1, epochs + 1):
            batches = shuffled_batches(native, budget.batch_size, rng, window_row_groups=WINDOW_ROW_GROUPS)
            reached = _epoch(network, ((values, labels[rows]) for rows, values in batches), loss_of, schedule)
            on_epoch(before + epoch)
        return reached

    with full_float32(network.mean.device):
        first = learnt(pretraining, budget.epochs, budget.learning_rate, 0)
        second = learnt(finetuning, budget.finetune_epochs, budget.finetune_learning_rate, budget.epochs)
    network.eval()
    return DetectorTraining(first, second)


def _epoch(
    network: RepresentationClassifier,
    batches: Iterable[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]],
    loss_of: LossOf,
    schedule: CosineAnnealingLR,
) -> float:
    """Make the steps of one epoch; return the mean loss."""
    network.train()
    device, losses = network.mean.device, []
    for values, labels in batches:
        if len(labels) < 2:  # a single sample has no batch statistics
            continue
        schedule.optimizer.zero_grad(set_to_none=True)
        samples = torch.from_numpy(values.astype(np.float32, copy=False)).to(device)
        loss = loss_of(samples, torch.from_numpy(labels).to(device))
        # The loss is looked at before the step, so that no weight learns from one that is not finite.
        losses.append(_finite(loss, schedule))
        loss.backward()
        schedule.optimizer.step()
        schedule.step()
    return sum(losses) / len(losses)


def _finite(loss: Tensor, schedule: CosineAnnealingLR) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise DetectorDivergedError(
            where=f"detector of foreign representations after {schedule.last_epoch} steps",
            expected="a finite loss",
            found=f"{value} at learning rate {schedule.base_lrs[0]:g}",
            remedy="Lower ood.detector.learning_rate or finetune_learning_rate.",
        )
    return value


def _check(native: FirstSamples, labels: npt.NDArray[np.int64], classes: int) -> None:
    if len(labels) != native.n_samples or len(labels) < 2:
        raise OodError(
            where="detector of foreign representations",
            expected="at least two samples with a label each",
            found=f"{native.n_samples} samples, {len(labels)} labels",
            remedy="Give it more training images, with labels.",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise OodError(
            where="detector of foreign representations",
            expected=f"class numbers from 0 to {classes - 1}",
            found=f"{labels.min()} to {labels.max()}",
            remedy="Take the labels that the target network was trained on.",
        )
