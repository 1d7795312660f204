"""A target layer's own representations as the reference, and the distance of stitched ones from it.

Detectors are fitted on the native training split; native test images are the negatives, stitched ones of the same
test images the positives. An AUROC far below ½ is as foreign as one far above it (shrinkage to the mean looks "more
in-distribution than in-distribution"), so the detectors report |2·AUROC − 1| beside the AUROC.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from stitchpipe.measures import Number
from stitchpipe.ood.detection import DETECTORS, Detection
from stitchpipe.ood.errors import OodError
from stitchpipe.ood.frechet import FrechetRatio
from stitchpipe.ood.observation import Observation, Observer, observe
from stitchpipe.ood.positions import PositionSampling
from stitchpipe.ood.scores import NO_POSITIONS, NON_FINITE, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.rows import Float64
    from storage import Representation

POSITIONAL = (*DETECTORS, "frechet")


class TargetReference:
    """The native representation of a target layer, fitted once and used for every stitch into it.

    Parameters
    ----------
    train, test
        What was observed of the target layer on either split, with the same `sampling`.
    neighbours
        k of the k-nearest-neighbour distance, at least 1; cut to the number of training rows.
    sampling
        Which positions positional statistics look at.

    Raises
    ------
    OodError
        The two differ in width, hold values that are not finite, or `neighbours` is below 1.

    Notes
    -----
    Detectors see rows in training units: pooled means of all images, and single positions of as many images as
    `sampling` allows. Fitting costs O(n·q² + q³), and the distances of native test rows are taken once. Nothing
    changes afterwards: one reference may serve several threads.
    """

    def __init__(
        self,
        train: Observation,
        test: Observation,
        *,
        neighbours: int = 10,
        sampling: PositionSampling | None = None,
    ) -> None:
        _check_native(train, test, neighbours)
        self._sampling = sampling or PositionSampling()
        self._layout = test.layout
        self._pooled = Detection(_pooled(train), _pooled(test), neighbours=neighbours)
        self._frechet = FrechetRatio(_moments(train), _moments(test))
        self._single: tuple[Detection, FrechetRatio] | None = None
        if train.positions is not None and test.positions is not None:
            self._single = (
                Detection(train.positions, test.positions, neighbours=neighbours),
                FrechetRatio(train.positions, test.positions),
            )
        # A negative value is only foreign to a layer that never has one, as behind a ReLU.
        self._never_negative = train.features.negative == 0.0 and test.features.negative == 0.0
        self._absolute = train.features.absolute + test.features.absolute

    @classmethod
    def fit(
        cls,
        train: Representation,
        test: Representation,
        *,
        neighbours: int = 10,
        sampling: PositionSampling | None = None,
    ) -> TargetReference:
        """Read a target layer's native representations, one row group at a time, and fit the detectors."""
        found = [observe(_blocks(one), sampling) for one in (train, test)]
        return cls(*found, neighbours=neighbours, sampling=sampling)

    def observer(self) -> Observer:
        """Return what looks at a stitched representation block by block, for `score`."""
        return Observer(self._sampling)

    def score(self, stitched: Iterable[npt.NDArray[np.floating]] | Observation) -> Scores:
        """Return how far a stitched representation of the test samples is from the native one.

        Parameters
        ----------
        stitched
            Blocks of samples in the shape of the target layer and the order of its test samples, each looked at
            once; or what an `observer` saw of them.

        Raises
        ------
        OodError
            Another width or layout than the target layer's; no samples.

        Notes
        -----
        Never NaN: a score without a value has the status ``constant`` (the target layer does not vary),
        ``too_few_rows``, ``non_finite`` or ``not_applicable`` (negative mass of a layer that goes below zero,
        positions of vectors, the residual of a single feature).
        """
        found = stitched if isinstance(stitched, Observation) else observe(stitched, self._sampling)
        if found.layout != self._layout:
            raise OodError(
                where="stitched representation",
                expected=f"the target layer's {self._layout[0]} features, in its layout",
                found=f"{found.layout[0]}, or another layout",
                remedy="Score what a stitching layer into this target gives.",
            )
        # A single value that is not finite would make every distance so; the reason is said once for all.
        if not found.features.finite:
            return Scores(**dict.fromkeys((field.name for field in fields(Scores)), NON_FINITE))
        return Scores(
            **self._pooled.statistics(_pooled(found)),
            frechet=self._frechet(_moments(found)),
            negative_mass=self._negative_mass(found),
            **{f"{name}_positional": one for name, one in self._positional(found).items()},
        )

    def _positional(self, found: Observation) -> dict[str, Number]:
        if self._single is None or found.positions is None:
            return dict.fromkeys(POSITIONAL, NO_POSITIONS)
        detection, frechet = self._single
        return {**detection.statistics(found.positions), "frechet": frechet(found.positions)}

    def _negative_mass(self, found: Observation) -> Number:
        if not self._never_negative:
            return Number.missing("not_applicable", "the target layer's own values are not all ≥ 0")
        if self._absolute == 0.0:
            return Number.missing("constant", "the target layer's own values are all 0")
        return Number(found.features.negative_mass)


def _check_native(train: Observation, test: Observation, neighbours: int) -> None:
    where = "native representations of the target layer"
    if train.layout != test.layout:
        raise OodError(
            where=where,
            expected="training and test rows of one layer",
            found=f"widths {train.layout[0]} and {test.layout[0]}, or two layouts",
            remedy="Take both splits of the same layer.",
        )
    if not (train.features.finite and test.features.finite):
        raise OodError(
            where=where, expected="finite values", found="others", remedy="Dump the target layer anew."
        )
    if neighbours < 1:
        raise OodError(
            where="neighbours", expected="at least 1", found=str(neighbours), remedy="The default is 10."
        )


def _pooled(found: Observation) -> Float64:
    return found.features.mean[:, None, :]


def _moments(found: Observation) -> Float64:
    return found.features.moments[:, None, :]


def _blocks(representation: Representation) -> Iterable[npt.NDArray[np.floating]]:
    return (representation.read(row_group) for row_group in range(len(representation.row_groups)))
