"""A target layer's own representations as the reference, and the distance of stitched ones from it.

Detectors are fitted on the native training split; native test rows are the negatives, stitched rows of the
same test images the positives. An AUROC far below ½ is as foreign as one far above it (shrinkage to the mean
looks "more in-distribution than in-distribution"), so the detectors report |2·AUROC − 1| beside the AUROC.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from stitchpipe.ood.features import Features, features_of
from stitchpipe.ood.frechet import frechet_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stitchpipe.rows import Float64
    from storage import Representation


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number, or the status that says why there is none; `note` holds what belongs beside it."""

    value: float | None
    status: str = "ok"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """How far a stitched representation is from the target's own; 0 is not at all, for each of them.

    Attributes
    ----------
    mahalanobis, knn
        |2·AUROC − 1| of a detector on pooled features, in [0, 1]; the AUROC stands in the note.
    frechet
        Fréchet distance of pooled [mean, spread] to the native test rows, over the trace of their covariance.
    negative_mass
        Share of the absolute mass below zero; only behind a ReLU, where it is natively 0.
    """

    mahalanobis: Statistic
    knn: Statistic
    frechet: Statistic
    negative_mass: Statistic

    def named(self) -> dict[str, Statistic]:
        """Return the statistics under the names that results use: ``ood_mahalanobis`` and so on."""
        return {f"ood_{field.name}": getattr(self, field.name) for field in fields(self)}


class TargetReference:
    """The native representation of a target layer, fitted once and used for every stitch into it.

    Parameters
    ----------
    train, test
        Native features of the target layer on either split.
    neighbours
        k of the k-nearest-neighbour distance; cut to the number of training rows.

    Notes
    -----
    Features are standardised by their training statistics. Mahalanobis uses the Ledoit-Wolf shrunk covariance
    (2004), k-NN the Euclidean distance to the k-th neighbour. Fitting costs O(n·q²), scoring O(n²·q).
    """

    def __init__(self, train: Features, test: Features, *, neighbours: int = 10) -> None:
        self._test = test
        self._scaler = StandardScaler().fit(train.mean)
        known = self._scaler.transform(train.mean)
        self._varies = bool((train.mean.std(axis=0) > 0).any())
        self._covariance = LedoitWolf(assume_centered=False).fit(known)
        self._neighbours = NearestNeighbors(n_neighbors=min(neighbours, len(known))).fit(known)
        self._is_relu = train.negative == 0.0 and test.negative == 0.0 and test.absolute > 0.0

    @classmethod
    def fit(cls, train: Representation, test: Representation, *, neighbours: int = 10) -> TargetReference:
        """Read a target layer's native representations and fit the detectors."""
        return cls(features_of(_blocks(train)), features_of(_blocks(test)), neighbours=neighbours)

    def score(self, stitched: Iterable[npt.NDArray[np.floating]]) -> Scores:
        """Return how far a stitched representation, given in blocks of test rows, is from the native one."""
        found = features_of(stitched)
        return Scores(
            mahalanobis=self._detected(self._mahalanobis, found),
            knn=self._detected(self._kth_distance, found),
            frechet=self._frechet(found),
            negative_mass=self._negative_mass(found),
        )

    def _mahalanobis(self, mean: Float64) -> Float64:
        return np.asarray(self._covariance.mahalanobis(self._scaler.transform(mean)))

    def _kth_distance(self, mean: Float64) -> Float64:
        distances, _ = self._neighbours.kneighbors(self._scaler.transform(mean))
        return np.asarray(distances[:, -1])

    def _detected(self, distance: Callable[[Float64], Float64], found: Features) -> Statistic:
        if not self._varies:
            return Statistic(None, "constant", "the target layer's pooled features do not vary")
        native, foreign = distance(self._test.mean), distance(found.mean)
        truth = np.repeat([0, 1], [len(native), len(foreign)])
        auroc = float(roc_auc_score(truth, np.concatenate([native, foreign])))
        return Statistic(abs(2.0 * auroc - 1.0), note=f"auroc={auroc:.6f}")

    def _frechet(self, found: Features) -> Statistic:
        native, foreign = self._test.moments, found.moments
        covariance = np.atleast_2d(np.cov(native, rowvar=False))
        total = float(np.trace(covariance))
        if not total > 0.0:
            return Statistic(None, "constant", "the target layer's pooled features do not vary")
        distance = frechet_distance(
            native.mean(axis=0),
            covariance,
            foreign.mean(axis=0),
            np.atleast_2d(np.cov(foreign, rowvar=False)),
        )
        return Statistic(distance / total)

    def _negative_mass(self, found: Features) -> Statistic:
        if not self._is_relu:
            return Statistic(None, "not_applicable", "the target layer's own values are not all ≥ 0")
        return Statistic(found.negative_mass)


def _blocks(representation: Representation) -> Iterable[npt.NDArray[np.floating]]:
    return (representation.read(row_group) for row_group in range(len(representation.row_groups)))
