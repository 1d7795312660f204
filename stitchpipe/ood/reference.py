"""A target layer's own representations as the reference, and the distance of stitched ones from it.

Detectors are fitted on the native training split; native test rows are the negatives, stitched rows of the
same test images the positives. An AUROC far below ½ is as foreign as one far above it (shrinkage to the mean
looks "more in-distribution than in-distribution"), so the detectors report |2·AUROC − 1| beside the AUROC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.ood.detectors import EPS, MahalanobisDistance, NeighbourDistance, Standardiser, auroc
from stitchpipe.ood.errors import OodError
from stitchpipe.ood.features import Features, features_of
from stitchpipe.ood.frechet import Gaussian, frechet_distance
from stitchpipe.ood.scores import Scores, Statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.rows import Float64
    from storage import Representation

CONSTANT = Statistic(None, "constant", "the target layer's pooled features do not vary")
TOO_FEW = Statistic(None, "too_few_rows", "a spread needs at least two samples of each kind")
NON_FINITE = Statistic(None, "non_finite", "the stitched representation holds values that are not finite")


class TargetReference:
    """The native representation of a target layer, fitted once and used for every stitch into it.

    Parameters
    ----------
    train, test
        Native features of the target layer on either split.
    neighbours
        k of the k-nearest-neighbour distance, at least 1; cut to the number of training rows.

    Raises
    ------
    OodError
        The two differ in width, hold values that are not finite, or `neighbours` is below 1.

    Notes
    -----
    Detectors see pooled means in training units (`Standardiser`). Fitting costs O(n·q² + q³), and the distances
    of the native test rows are taken once. Nothing changes afterwards: one reference may serve several threads.
    """

    def __init__(self, train: Features, test: Features, *, neighbours: int = 10) -> None:
        _check_native(train, test, neighbours)
        self._width = _widths(test)
        self._standardise = Standardiser(train.mean)
        self._unfit = TOO_FEW if train.n_samples < 2 else None if self._standardise.varies else CONSTANT
        self._detectors: dict[str, tuple[Callable[[Float64], Float64], Float64]] = {}
        if self._unfit is None:
            known, native = self._standardise(train.mean), self._standardise(test.mean)
            for name, distance in (
                ("mahalanobis", MahalanobisDistance(known)),
                ("knn", NeighbourDistance(known, neighbours)),
            ):
                self._detectors[name] = (distance, distance(native))
        self._native, self._floor = _gaussian(test), 0.0
        seen = _gaussian(train)
        if self._native is not None and seen is not None and _varies(self._native, test.n_samples):
            self._floor = frechet_distance(seen, self._native) / self._native.trace
        self._test_samples = test.n_samples
        self._never_negative = train.negative == 0.0 and test.negative == 0.0
        self._absolute = train.absolute + test.absolute

    @classmethod
    def fit(cls, train: Representation, test: Representation, *, neighbours: int = 10) -> TargetReference:
        """Read a target layer's native representations, one row group at a time, and fit the detectors."""
        return cls(features_of(_blocks(train)), features_of(_blocks(test)), neighbours=neighbours)

    def score(self, stitched: Iterable[npt.NDArray[np.floating]] | Features) -> Scores:
        """Return how far a stitched representation of the test samples is from the native one.

        Parameters
        ----------
        stitched
            Blocks of samples in the shape of the target layer, or their merged features.

        Raises
        ------
        OodError
            Another width or layout than the target layer's; no samples.

        Notes
        -----
        Never NaN: a statistic without a value has the status ``constant`` (the target layer does not vary),
        ``too_few_rows``, ``non_finite`` or ``not_applicable`` (negative mass of a layer that goes below zero).
        """
        found = stitched if isinstance(stitched, Features) else features_of(stitched)
        if _widths(found) != self._width:
            raise OodError(
                where="stitched representation",
                expected=f"the target layer's {self._width[0]} features, in its layout",
                found=f"{_widths(found)[0]}, or another layout",
                remedy="Score what a stitching layer into this target gives.",
            )
        if not found.finite:
            return Scores(NON_FINITE, NON_FINITE, NON_FINITE, NON_FINITE)
        return Scores(
            mahalanobis=self._detected("mahalanobis", found),
            knn=self._detected("knn", found),
            frechet=self._frechet(found),
            negative_mass=self._negative_mass(found),
        )

    def _detected(self, name: str, found: Features) -> Statistic:
        if self._unfit is not None:
            return self._unfit
        distance, native = self._detectors[name]
        area = auroc(native, distance(self._standardise(found.mean)))
        return Statistic(abs(2.0 * area - 1.0), note=f"auroc={area:.6f}")

    def _frechet(self, found: Features) -> Statistic:
        foreign = _gaussian(found)
        if self._native is None or foreign is None:
            return TOO_FEW
        if not _varies(self._native, self._test_samples):
            return CONSTANT
        ratio = frechet_distance(self._native, foreign) / self._native.trace
        return Statistic(ratio, note=f"floor={self._floor:.6f}")

    def _negative_mass(self, found: Features) -> Statistic:
        if not self._never_negative:
            return Statistic(None, "not_applicable", "the target layer's own values are not all ≥ 0")
        if self._absolute == 0.0:
            return Statistic(None, "constant", "the target layer's own values are all 0")
        return Statistic(found.negative_mass)


def _check_native(train: Features, test: Features, neighbours: int) -> None:
    where = "native representations of the target layer"
    if _widths(train) != _widths(test):
        raise OodError(
            where=where,
            expected="training and test rows of one layer",
            found=f"widths {train.mean.shape[1]} and {test.mean.shape[1]}, or two layouts",
            remedy="Take both splits of the same layer.",
        )
    if not (train.finite and test.finite):
        raise OodError(
            where=where, expected="finite values", found="others", remedy="Dump the target layer anew."
        )
    if neighbours < 1:
        raise OodError(
            where="neighbours", expected="at least 1", found=str(neighbours), remedy="The default is 10."
        )


def _widths(features: Features) -> tuple[int, int]:
    return features.mean.shape[1], features.spread.shape[1]


def _gaussian(features: Features) -> Gaussian | None:
    return Gaussian.from_rows(features.moments) if features.n_samples > 1 else None


def _varies(gaussian: Gaussian, n_samples: int) -> bool:
    """Return whether the total variance is more than the rounding of constant features."""
    return gaussian.trace > (n_samples * EPS) ** 2 * float((gaussian.mean**2).sum())


def _blocks(representation: Representation) -> Iterable[npt.NDArray[np.floating]]:
    return (representation.read(row_group) for row_group in range(len(representation.row_groups)))
