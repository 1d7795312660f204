"""The answers of a stitched network beside its target's: what every measure of fidelity is computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stitchpipe.algebra.certainty import share_limits, too_few
from stitchpipe.measures import Number
from stitchpipe.stitching.classes import check_classes
from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.measures import Measure


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
    groups
        ``[n]``, the number of each image's group; None where each is on its own.

    Raises
    ------
    StitchError
        The arrays do not fit each other, or there is no image.
    """

    logits: npt.NDArray[np.floating]
    native: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    class_names: Sequence[str] = ()
    groups: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_labelled(self.logits, self.labels)
        if self.logits.shape != self.native.shape:
            raise StitchError(
                where="agreement",
                expected=f"the target's logits of the same images, {self.logits.shape}",
                found=f"{self.native.shape}",
                remedy="Take both from the same split, in the order of the store.",
            )


def share(hits: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64] | None) -> Number:
    """Return the share of hits; of images in groups with 95 % limits over these, or a remark that they are too few."""
    number = Number(float(hits.mean()))
    return number if groups is None else limited(number, share_limits(hits, groups))


def limited(number: Number, limits: tuple[float, float] | None) -> Number:
    """Return a number with its limits over groups beside it, or with the remark that there are none."""
    if limits is None:
        return replace(number, reason="; ".join(filter(None, (number.reason, too_few("interval")))))
    return number.beside(low=limits[0], high=limits[1])


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
