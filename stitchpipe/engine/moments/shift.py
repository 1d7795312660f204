"""What is subtracted from a layer before anything is summed.

For any constants a, b: Σ (x − x̄)(y − ȳ)ᵀ = Σ (x − a)(y − b)ᵀ − n (x̄ − a)(ȳ − b)ᵀ. With a = b = 0 both terms are large
where means are, and their difference has lost those digits; a shift close to the mean keeps both small. It must only be
the same for all samples of a split, so that leaves can be merged: the mean of the first samples is close enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.rows import View

Stored: TypeAlias = npt.NDArray[Any]
Float64: TypeAlias = npt.NDArray[np.float64]

SHIFT_SAMPLES = 32
"""Samples whose mean is the shift."""


@dataclass(frozen=True, eq=False, slots=True)
class Shift:
    """What is subtracted from a layer before anything is summed: close to the mean, and constant.

    Attributes
    ----------
    channels
        ``[p]``.
    positions
        ``[p, *grid]``, where the layer is flattened: its features have means of their own. Otherwise empty.
    norms
        From the squared norms of shifted rows, by view: where a row is an image.
    """

    channels: Float64
    positions: Float64
    norms: Mapping[View, float]

    @classmethod
    def of(cls, samples: Stored, *, flattened: bool) -> Shift:
        """Return the shift of a layer from its first samples ``(n, *shape)``."""
        rows = features_first(samples).astype(np.float64)
        channels = _single(rows.mean(axis=tuple(range(1, rows.ndim))))
        # Norms are of rows as they will be summed: shifted, and under `pooled` averaged over positions.
        flat = (rows - channels.reshape(-1, *[1] * (rows.ndim - 1))).reshape(*rows.shape[:2], -1)
        norms: dict[View, float] = {"pooled": _mean_norm(flat.mean(axis=2))}
        if not flattened:
            return cls(channels, np.empty(0), norms)
        # Padding gives positions means of their own, to which one mean for each channel would not be close.
        positions = _single(rows.mean(axis=1))
        norms["flatten"] = _mean_norm(rows - positions[:, None])
        return cls(channels, positions, norms)

    def features(self, view: View) -> Float64:
        """Return what is subtracted from each feature of a view."""
        return self.positions.ravel() if view == "flatten" else self.channels


def _single(means: Float64) -> Float64:
    """Return a shift as float32 holds it: in either precision it must be the same number."""
    return means.astype(np.float32).astype(np.float64)


def _mean_norm(rows: Float64) -> float:
    """Return the mean over samples of the squared norms of ``rows [p, n, …]``."""
    return float((rows**2).sum() / rows.shape[1])


def features_first(samples: Stored) -> Stored:
    """Return ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)`` as a view ``(p, n, *grid)``."""
    return samples.transpose(
        (1, 0, 2, 3) if samples.ndim == 4 else (samples.ndim - 1, *range(samples.ndim - 1))
    )
