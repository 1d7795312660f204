"""The answers of a stitched network beside its target's: what every measure of fidelity is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.stitching.classes import check_classes
from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.measures import Measure, Number


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a stitched network and its target say of the same images.

    Attributes
    ----------
    logits, native
        ``[n, classes]`` of the stitched network, and of the target network itself.
    labels
        ``[n]`` class numbers.
    class_names
        By number; may be empty.

    Raises
    ------
    StitchError
        The arrays do not fit each other, or there is no image.
    """

    logits: npt.NDArray[np.floating]
    native: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    class_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_labelled(self.logits, self.labels)
        if self.logits.shape != self.native.shape:
            raise StitchError(
                where="agreement",
                expected=f"the target's logits of the same images, {self.logits.shape}",
                found=f"{self.native.shape}",
                remedy="Take both from the same split, in the order of the store.",
            )


@dataclass(frozen=True, slots=True)
class Fidelity:
    """A measure of how far a stitched network does what its target does, beside how it is computed."""

    measure: Measure
    of: Callable[[Answers], Number]


def check_labelled(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> None:
    """Raise `StitchError` unless there is one label for each row of logits, and a logit for each label."""
    if len(logits) == 0 or labels.shape != logits.shape[:1]:
        raise StitchError(
            where="accuracy",
            expected="one label per row of logits, at least one",
            found=f"labels of shape {labels.shape}, logits of shape {logits.shape}",
            remedy="Take both from the same split, in the order of the store.",
        )
    check_classes(labels, logits.shape[1])
