"""A target layer's own representations as the reference, and the distance of stitched ones from it.

Scores are fitted on the native training split; native test images are the negatives, stitched ones of the same test
images the positives. An AUROC far below ½ is as foreign as one far above it (shrinkage to the mean looks "more
in-distribution than in-distribution"), so detectors report |2·AUROC − 1| beside the AUROC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.ood.errors import OodError
from stitchpipe.ood.native_rows import NativeRows
from stitchpipe.ood.observation import Observation, observe
from stitchpipe.ood.score import NON_FINITE
from stitchpipe.ood.scores import SCORES, Native, Score, Stitched

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.measures import Number
    from stitchpipe.ood.positions import PositionSampling
    from storage import Representation


class TargetReference:
    """The native representation of a target layer; scores are fitted to it once and used for every stitch into it.

    Parameters
    ----------
    native
        What is native to the target layer, from `native_of`.
    scores
        Default: all that the product has of its own.

    Notes
    -----
    Detectors see rows in training units: pooled means of all images, and single positions of as many images as the
    sampling allows. Fitting costs O(n·q² + q³), and the distances of native test rows are taken once. Nothing changes
    afterwards: one reference may serve several threads.
    """

    def __init__(self, native: Native, scores: Sequence[Score] | None = None) -> None:
        self._layout = native.test.layout
        self._scores = tuple(SCORES.own.values()) if scores is None else tuple(scores)
        self._fitted = {score.name: score.fit(native) for score in self._scores}

    def score(
        self, stitched: Observation, logits: npt.NDArray[np.floating] | None = None
    ) -> dict[str, Number]:
        """Return how far a stitched representation of the test samples is from the native one, by score.

        Parameters
        ----------
        stitched
            What an `Observer` with the reference's sampling saw of it, in the order of the test samples.
        logits
            ``[n, classes]`` of the stitched network, for scores of logits.

        Raises
        ------
        OodError
            Another width or layout than the target layer's.

        Notes
        -----
        Never NaN: a score without a value has the status ``constant`` (the target layer does not vary),
        ``too_few_rows``, ``non_finite`` or ``not_applicable`` (negative mass of a layer that goes below zero,
        positions of vectors, the residual of a single feature, logits that were not given).
        """
        if stitched.layout != self._layout:
            raise OodError(
                where="stitched representation",
                expected=f"the target layer's {self._layout[0]} features, in its layout",
                found=f"{stitched.layout[0]}, or another layout",
                remedy="Score what a stitching layer into this target gives.",
            )
        seen = Stitched(stitched, logits)
        # A single value that is not finite would make every distance so; the reason is said once for all.
        is_finite = stitched.features.finite
        return {
            score.name: self._fitted[score.name](seen)
            if is_finite or score.measure.computed_from == "stitched_logits"
            else NON_FINITE
            for score in self._scores
        }


def native_of(
    train: Observation,
    test: Observation,
    *,
    logits: npt.NDArray[np.floating] | None = None,
    neighbours: int = 10,
) -> Native:
    """Return what scores are fitted to, from what was observed of the target layer on either split.

    Parameters
    ----------
    logits
        ``[n, classes]`` of the target network on the test split, for scores of logits.
    neighbours
        k of the k-nearest-neighbour distance, at least 1; cut to the number of training rows.

    Raises
    ------
    OodError
        The two differ in width, hold values that are not finite, or `neighbours` is below 1.
    """
    _check_native(train, test, neighbours)
    positions = None
    if train.positions is not None and test.positions is not None:
        positions = NativeRows(train.positions, test.positions)
    return Native(train, test, logits, neighbours, NativeRows(train.images, test.images), positions)


def observed(representation: Representation, sampling: PositionSampling | None = None) -> Observation:
    """Return what is kept of a stored representation; one row group is in memory at a time."""
    blocks = (representation.read(row_group) for row_group in range(len(representation.row_groups)))
    return observe(blocks, sampling)


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
