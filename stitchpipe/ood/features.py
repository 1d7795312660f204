"""What the statistics look at: the mean and the spread of every channel over positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.rows import Float64


@dataclass(frozen=True, slots=True)
class Features:
    """Pooled features of a representation, and the mass of its values on either side of zero.

    Attributes
    ----------
    mean, spread
        ``[n, q]``: mean and standard deviation over positions; spread is ``[n, 0]`` for vectors.
    negative, absolute
        Σ max(−x, 0) and Σ|x| over all values.
    """

    mean: Float64
    spread: Float64
    negative: float
    absolute: float

    @property
    def moments(self) -> Float64:
        """Return ``[mean, spread]`` side by side, ``[n, 2q]``."""
        return np.concatenate([self.mean, self.spread], axis=1)

    @property
    def negative_mass(self) -> float:
        """Return the share of the absolute mass below zero; 0 for zeros."""
        return self.negative / self.absolute if self.absolute else 0.0


def features_of(blocks: Iterable[npt.NDArray[np.floating]]) -> Features:
    """Return the features of a representation given in blocks ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``."""
    means, spreads = [], []
    negative = absolute = 0.0
    for block in blocks:
        values = np.asarray(block, dtype=np.float64)
        axes = (2, 3) if values.ndim == 4 else (1,)
        positional = values.ndim > 2
        means.append(values.mean(axis=axes) if positional else values)
        spreads.append(values.std(axis=axes) if positional else np.empty((len(values), 0)))
        total = float(np.abs(values).sum())
        absolute += total
        negative += (total - float(values.sum())) / 2 if (values < 0).any() else 0.0
    return Features(np.concatenate(means), np.concatenate(spreads), negative, absolute)
