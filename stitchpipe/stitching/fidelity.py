"""How well a stitched network does the task, and how far it answers as its target does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.labels import check_classes

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What the answers of a stitched network are like.

    Attributes
    ----------
    accuracy
        Share of images that are put into their class, in [0, 1].
    relative_accuracy
        Over the accuracy of the target network itself; None where that is never right.
    agreement
        Share of images that are put into the target's class, right or wrong, in [0, 1].
    kl
        KL(target's probabilities ‖ stitched ones), mean over images, in nats, ≥ 0.
    by_class
        Accuracy on the images of each class that the split has.
    """

    accuracy: float
    relative_accuracy: float | None
    agreement: float
    kl: float
    by_class: dict[int, float]


def fidelity(
    logits: npt.NDArray[np.floating], native: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]
) -> Fidelity:
    """Judge the logits ``[n, classes]`` of a stitched network against labels and the target's own logits.

    Raises
    ------
    StitchError
        The arrays do not fit each other.
    """
    reached = accuracy(logits, labels)
    if logits.shape != native.shape:
        raise StitchError(
            where="agreement",
            expected=f"the target's logits of the same images, {logits.shape}",
            found=f"{native.shape}",
            remedy="Take both from the same split, in the order of the store.",
        )
    found, own = logits.argmax(axis=1), native.argmax(axis=1)
    p, q = (log_softmax(one.astype(np.float64), axis=1) for one in (native, logits))
    return Fidelity(
        accuracy=reached,
        relative_accuracy=relative_accuracy(reached, accuracy(native, labels)),
        agreement=float((found == own).mean()),
        kl=max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean())),  # rounding can fall below 0
        by_class={int(one): float((found == one)[labels == one].mean()) for one in np.unique(labels)},
    )


def accuracy(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of samples whose largest logit is their label's, in [0, 1]; the first of equals counts.

    Raises
    ------
    StitchError
        Not one label per row of logits, or a label that no logit stands for.
    """
    if len(logits) == 0 or labels.shape != logits.shape[:1]:
        raise StitchError(
            where="accuracy",
            expected="one label per row of logits, at least one",
            found=f"labels of shape {labels.shape}, logits of shape {logits.shape}",
            remedy="Take both from the same split, in the order of the store.",
        )
    check_classes(labels, logits.shape[1])
    return float((logits.argmax(axis=1) == labels).mean())


def relative_accuracy(stitched: float, native: float) -> float | None:
    """Return stitched accuracy over the target network's own; None where that network is never right.

    May exceed 1: a stitched network can be better than its target.
    """
    return stitched / native if native > 0.0 else None
