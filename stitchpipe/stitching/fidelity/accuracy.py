"""How often a stitched network is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.measures import Measure
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity, check_labelled, share

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stitchpipe.measures import Number


def accuracy(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is their label's, in [0, 1]; the first of equals counts.

    Raises
    ------
    StitchError
        Not one label per row of logits, or a label that no logit stands for.
    """
    return float(hits(logits, labels).mean())


def hits(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return for which samples that is so ``[n]``; raises as `accuracy`."""
    check_labelled(logits, labels)
    right: npt.NDArray[np.bool_] = logits.argmax(axis=1) == labels
    return right


def of(answers: Answers) -> Number:
    """Return the accuracy of the stitched network; of images in groups with limits over these."""
    return share(hits(answers.logits, answers.labels), answers.groups)


ACCURACY = Fidelity(
    Measure(
        name="stitch_accuracy",
        label="accuracy",
        meaning="Share of the test images that the stitched network puts into their class.",
        kind="fidelity",
        computed_from="stitched_logits",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        cost="O(n·classes)",
        literature="Lenc and Vedaldi 2015; Bansal et al. 2021",
    ),
    of,
)
