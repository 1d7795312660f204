"""The Fréchet distance of two Gaussians (Dowson and Landau 1982), from factors of their covariances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.native_rows import CONSTANT, TOO_FEW
from stitchpipe.ood.score import NO_POSITIONS, Fitted, Native, Score, Stitched
from stitchpipe.ood.scores.distances import positional
from stitchpipe.ood.standardiser import EPS

if TYPE_CHECKING:
    from stitchpipe.rows import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """Mean μ ``[d]`` and a factor R ``[min(n, d), d]`` of the covariance Σ = RᵀR."""

    mean: Float64
    factor: Float64

    @classmethod
    def from_rows(cls, rows: Float64) -> Gaussian:
        """Fit to rows ``[n, d]``, n ≥ 2, with n − 1 in the denominator. O(n·d²) time; Σ is not formed."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        # Σ = RᵀR/(n − 1) is only ever needed through a factor, and the smaller one of the two serves.
        factor = np.linalg.qr(centred, mode="r") if len(rows) > rows.shape[1] else centred
        return cls(mean, factor / np.sqrt(len(rows) - 1))

    @property
    def trace(self) -> float:
        """Return tr Σ, the total variance."""
        return float((self.factor**2).sum())


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a^½ Σ_b Σ_a^½)^½, at least 0.

    Notes
    -----
    The last trace is the nuclear norm of R_a R_bᵀ, so that no square root is taken of rounded eigenvalues: the
    error is about eps·(tr Σ_a + tr Σ_b), for singular covariances too, where roots of eigenvalues leave √eps.
    What rounding takes below zero is cut off. O(min(n, d)³) time.
    """
    # tr(Σ_a^½ Σ_b Σ_a^½)^½ is the sum of the singular values of R_a R_bᵀ.
    shared = float(np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum())
    offset = float(((a.mean - b.mean) ** 2).sum())
    return offset + max(a.trace + b.trace - 2.0 * shared, 0.0)


class FrechetRatio:
    """Fréchet distance of stitched from native test rows over the native total variance tr Σ, with its floor.

    Parameters
    ----------
    train, test
        Native rows ``[images, rows, d]``; at least two images of each. The floor is the ratio between the two.
    """

    def __init__(self, train: Float64, test: Float64) -> None:
        self._native, self._varies, self._floor = _fitted(test), False, 0.0
        seen = _fitted(train)
        if self._native is None:
            return
        rounding = test.shape[0] * test.shape[1] * EPS
        # Variation below the rounding of the mean is none, and would make a ratio of rounding errors.
        self._varies = self._native.trace > rounding**2 * float((self._native.mean**2).sum())
        if seen is not None and self._varies:
            self._floor = frechet_distance(seen, self._native) / self._native.trace

    def __call__(self, stitched: Float64) -> Number:
        """Return the ratio for ``[images, rows, d]``, or why there is none; O(N·d² + min(N, d)³) for N rows in all."""
        foreign = _fitted(stitched)
        if self._native is None or foreign is None:
            return TOO_FEW
        if not self._varies:
            return CONSTANT
        ratio = frechet_distance(self._native, foreign) / self._native.trace
        return Number(ratio).beside(floor=self._floor)


def _fitted(images: Float64) -> Gaussian | None:
    return Gaussian.from_rows(images.reshape(-1, images.shape[2])) if len(images) > 1 else None


def _fit_images(native: Native) -> Fitted:
    ratio = FrechetRatio(native.train.moments, native.test.moments)
    return lambda stitched: ratio(stitched.observed.moments)


def _fit_positions(native: Native) -> Fitted:
    if native.positions is None:
        return lambda _: NO_POSITIONS
    ratio = FrechetRatio(native.positions.train, native.positions.test)

    def score(stitched: Stitched) -> Number:
        positions = stitched.observed.positions
        return NO_POSITIONS if positions is None else ratio(positions)

    return score


_OF_IMAGES = Measure(
    name="ood_frechet",
    label="Fréchet ratio",
    meaning="Fréchet distance between stitched and native pooled means and spreads of the test images, over the native "
    "variance. 0 is the same distribution; the floor beside it is the ratio between native training and test images.",
    kind="ood",
    computed_from="stitched_rows",
    range=(0.0, float("inf")),
    larger_is_more_similar=False,
    cost="O(n·d² + min(n, d)³), d = 2q",
    literature="Dowson and Landau 1982; Heusel et al. 2017",
)
FRECHET = Score(measure=_OF_IMAGES, fit=_fit_images)
FRECHET_POSITIONAL = Score(measure=positional(_OF_IMAGES), fit=_fit_positions)
