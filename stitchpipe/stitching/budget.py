"""What a training of a stitching layer may spend, and what it reached."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, TypeAlias, get_args

from stitchpipe.measures import Number
from stitchpipe.stitching.errors import DivergedError, StitchError
from stitchpipe.stitching.objectives import OBJECTIVES

Autocast: TypeAlias = Literal["none", "bfloat16"]


MOST_LEARNING_RATE = 1e37
"""Adam multiplies it by up to ten, in float32."""


@dataclass(frozen=True, slots=True)
class TrainingBudget:
    """What a training may spend, and its seed. Adam, without decay of the rate.

    The defaults but `steps` are those of Balogh and Jelasity (2025), who train for 30 epochs.

    Attributes
    ----------
    steps
        Optimiser steps, at least 1.
    batch_size
        Samples per step, at least 1; the last step of an epoch may see fewer.
    learning_rate
        Adam's, above 0; at most `MOST_LEARNING_RATE`.
    weight_decay
        Adam's L2 penalty on weight and bias, at least 0.
    seed
        Of the order of samples, at least 0.
    objective
        Name of what is minimised, see `stitchpipe.stitching.objectives`.
    autocast
        ``bfloat16`` runs layer and tail in mixed precision; weights and Adam's moments stay float32.
    compiled
        Let `torch.compile` fuse the tail; other last digits.
    augmented
        Whether epochs go through augmented passes over the images, one after the other.

    Raises
    ------
    StitchError
        A value out of range, or an objective that nobody knows.
    """

    steps: int = 300
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    seed: int = 0
    objective: str = "hard_labels"
    autocast: Autocast = "none"
    compiled: bool = False
    augmented: bool = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0), ("weight_decay", 0.0)):
            value = getattr(self, name)
            if not least <= value < inf:
                raise _out_of_range(name, f"a finite number of at least {least}", value)
        if not 0.0 < self.learning_rate <= MOST_LEARNING_RATE:
            allowed = f"a number above 0 of at most {MOST_LEARNING_RATE:g}"
            raise _out_of_range("learning_rate", allowed, self.learning_rate)
        OBJECTIVES.named(self.objective)
        if self.autocast not in get_args(Autocast):
            raise _out_of_range("autocast", f"one of {', '.join(get_args(Autocast))}", self.autocast)


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """How a training went.

    Attributes
    ----------
    losses
        Of every step, before the step was made; all finite, and at least one unless it diverged.
    divergence
        What ended the training before its budget was spent; None where nothing did.

    Raises
    ------
    StitchError
        Losses that cannot be.
    """

    losses: tuple[float, ...]
    divergence: DivergedError | None = None

    def __post_init__(self) -> None:
        if not (self.losses or self.divergence) or not all(map(isfinite, self.losses)):
            raise _out_of_range("losses", "at least one, all finite", self.losses)

    @property
    def steps(self) -> int:
        """Return how many optimiser steps were made."""
        return len(self.losses)

    @property
    def final_loss(self) -> Number:
        """Return the mean loss of the last tenth of the steps, of at least one: a single batch is noisy."""
        if self.divergence is not None:
            return self.divergence.number
        last = self.losses[-max(1, len(self.losses) // 10) :]
        return Number(sum(last) / len(last))


def _out_of_range(name: str, expected: str, found: object) -> StitchError:
    return StitchError(
        where=f"training: {name}", expected=expected, found=repr(found), remedy="Correct the value."
    )
