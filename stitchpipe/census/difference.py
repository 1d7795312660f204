"""How far two answers of a network are from each other."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

ALIKE: Final = 1e-4
"""Difference of a network's answers to two images, relative to the largest number, below which it tells nothing."""


def relative_difference(value: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest number expected; infinite where shapes differ."""
    if value.shape != expected.shape:
        return float("inf")
    if torch.equal(value, expected):
        return 0.0
    largest = float(expected.abs().max())
    return float((value - expected).abs().max()) / largest if largest else float("inf")


def are_alike(answers: Tensor) -> bool:
    """Return whether a network answers the second of some images as it answers the first, ``[n, ...]``."""
    return relative_difference(answers[:1], answers[1:2]) < ALIKE
