"""What the statistics look at: the mean and the spread of every channel over positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stitchpipe.ood.errors import OodError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.rows import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Pooled features of a representation, and the mass of its values on either side of zero.

    Attributes
    ----------
    mean, spread
        ``[n, q]``: mean and standard deviation (of the positions, not of a sample of them) over positions;
        spread is ``[n, 0]`` for vectors.
    negative, absolute
        Σ|min(x, 0)| and Σ|x| over all values.
    """

    mean: Float64
    spread: Float64
    negative: float
    absolute: float

    @classmethod
    def from_block(cls, block: npt.NDArray[np.floating]) -> Features:
        """Pool a block of samples ``(n, C, H, W)``, ``(n, T, D)`` or ``(n, D)``, in float64."""
        if block.ndim not in (2, 3, 4) or 0 in block.shape:
            raise OodError(
                where="block of a representation",
                expected="samples of shape (C, H, W), (T, D) or (D,), at least one",
                found=f"an array of shape {block.shape}",
                remedy="Pass blocks of activations, first axis = samples.",
            )
        values = np.asarray(block, dtype=np.float64)
        # Infinite or missing values make the sum of absolute values so too, which is how `finite` knows of
        # them.
        negative, absolute = float(-np.minimum(values, 0.0).sum()), float(np.abs(values).sum())
        if values.ndim == 2:
            return cls(values, np.empty((len(values), 0)), negative, absolute)
        axes = (2, 3) if values.ndim == 4 else (1,)
        with np.errstate(invalid="ignore"):  # ∞ − ∞: `finite` says so
            return cls(values.mean(axis=axes), values.std(axis=axes), negative, absolute)

    @classmethod
    def merge(cls, parts: Iterable[Features]) -> Features:
        """Join the features of blocks, in their order; `OodError` where there are none."""
        blocks = list(parts)
        if not blocks:
            raise OodError(
                where="representation",
                expected="at least one block of samples",
                found="none",
                remedy="Take the blocks anew: an iterator can be used once.",
            )
        return cls(
            np.concatenate([part.mean for part in blocks]),
            np.concatenate([part.spread for part in blocks]),
            sum(part.negative for part in blocks),
            sum(part.absolute for part in blocks),
        )

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.mean)

    @property
    def moments(self) -> Float64:
        """Return ``[mean, spread]`` side by side, ``[n, 2q]``; ``[n, q]`` for vectors."""
        return np.concatenate([self.mean, self.spread], axis=1)

    @property
    def finite(self) -> bool:
        """Return whether every value that was pooled is finite."""
        return bool(np.isfinite(self.absolute))

    @property
    def negative_mass(self) -> float:
        """Return the share of the absolute mass below zero, in [0, 1]; 0 for zeros."""
        return self.negative / self.absolute if self.absolute else 0.0


def features_of(blocks: Iterable[npt.NDArray[np.floating]]) -> Features:
    """Return the features of a representation given in blocks; one of them is in memory at a time."""
    return Features.merge(map(Features.from_block, blocks))
